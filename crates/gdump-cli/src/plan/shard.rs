//! Which share of a batch's jobs is done here.

use crate::args::Shard;

/// A share of the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChosenShard {
    /// Which, from 1 on.
    pub number: u64,
    /// Of how many.
    pub of: u64,
    /// What says so.
    pub by: &'static str,
}

/// All jobs.
const WHOLE: ChosenShard = ChosenShard { number: 1, of: 1, by: "" };

impl ChosenShard {
    /// Whether the job at `position`, from 0 on, is in it.
    pub fn has(self, position: usize) -> bool {
        position as u64 % self.of == self.number - 1
    }

    /// Whether there are others.
    pub fn is_part(self) -> bool {
        self.of > 1
    }

    /// What an option asks for or, where there is none, a scheduler, whose variables `env` has.
    ///
    /// # Errors
    /// One line, if it cannot be told.
    pub fn choose(asked: Option<Shard>, env: &dyn Fn(&str) -> Option<String>) -> Result<ChosenShard, String> {
        if let Some(Shard { number: Some(number), of }) = asked {
            return Ok(ChosenShard { number, of, by: "--shard" });
        }
        let said = slurm(env)?.or(kubernetes(env)?).or(gitlab(env)?);
        match (said, asked.map(|asked| asked.of)) {
            (None, None) => Ok(WHOLE),
            (None, Some(of)) => Err(format!("--shard /{of}: no scheduler says which, expected K/{of}")),
            (Some(said), None) if said.of == 0 => {
                Err(format!("{} says which shard, but not of how many: --shard /N, or 1/1 for all jobs", said.by))
            }
            (Some(said), of) => {
                let of = of.unwrap_or(said.of);
                let shard = ChosenShard { of, ..said };
                (1..=of)
                    .contains(&shard.number)
                    .then_some(shard)
                    .ok_or_else(|| format!("{} says shard {} of {of}", shard.by, shard.number))
            }
        }
    }
}

/// Tasks of an array that are numbered at even steps.
fn slurm(env: &dyn Fn(&str) -> Option<String>) -> Result<Option<ChosenShard>, String> {
    let by = "SLURM_ARRAY_TASK_ID";
    let Some(id) = number(env, by)? else { return Ok(None) };
    let [of, least, step] = ["COUNT", "MIN", "STEP"].map(|name| number(env, &format!("SLURM_ARRAY_TASK_{name}")));
    let (of, least, step) = (of?.unwrap_or(0), least?.unwrap_or(0), step?.unwrap_or(1).max(1));
    match id.checked_sub(least) {
        Some(after) if after % step == 0 => Ok(Some(ChosenShard { number: after / step + 1, of, by })),
        _ => Err(format!("{by} {id}: expected {least}, or steps of {step} beyond it; --shard K/N says which")),
    }
}

/// An indexed job, which does not know how many there are.
fn kubernetes(env: &dyn Fn(&str) -> Option<String>) -> Result<Option<ChosenShard>, String> {
    let by = "JOB_COMPLETION_INDEX";
    Ok(number(env, by)?.map(|index| ChosenShard { number: index.saturating_add(1), of: 0, by }))
}

fn gitlab(env: &dyn Fn(&str) -> Option<String>) -> Result<Option<ChosenShard>, String> {
    let by = "CI_NODE_INDEX";
    let (index, of) = (number(env, by)?, number(env, "CI_NODE_TOTAL")?);
    Ok(index.map(|number| ChosenShard { number, of: of.unwrap_or(0), by }))
}

fn number(env: &dyn Fn(&str) -> Option<String>, name: &str) -> Result<Option<u64>, String> {
    let Some(text) = env(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("{name} is {text}, expected a number; --shard K/N says which"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(asked: Option<&str>, env: &[(&str, &str)]) -> Result<(u64, u64), String> {
        let look_up = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let shard = ChosenShard::choose(asked.map(|text| text.parse().unwrap()), &look_up);
        shard.map(|shard| (shard.number, shard.of))
    }

    #[test]
    fn schedulers_and_options() {
        let slurm = |id| [("SLURM_ARRAY_TASK_ID", id), ("SLURM_ARRAY_TASK_COUNT", "4"), ("SLURM_ARRAY_TASK_MIN", "10")];
        let gitlab = [("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "3")];
        let kubernetes = [("JOB_COMPLETION_INDEX", "0")];
        assert_eq!(chosen(None, &[]), Ok((1, 1)));
        assert_eq!(chosen(None, &[("CI_NODE_TOTAL", "1")]), Ok((1, 1)));
        assert_eq!(chosen(None, &slurm("10")), Ok((1, 4)));
        assert_eq!(chosen(None, &slurm("13")), Ok((4, 4)));
        assert_eq!(chosen(None, &[&slurm("14")[..], &[("SLURM_ARRAY_TASK_STEP", "2")]].concat()), Ok((3, 4)));
        assert_eq!(chosen(None, &gitlab), Ok((2, 3)));
        assert_eq!(chosen(Some("/8"), &kubernetes), Ok((1, 8)));
        assert_eq!(chosen(Some("/8"), &gitlab), Ok((2, 8)));
        assert_eq!(chosen(Some("3/8"), &slurm("10")), Ok((3, 8)));
        for (asked, env) in [
            (Some("/8"), &[][..]),
            (None, &kubernetes),
            (None, &slurm("14")),
            (None, &slurm("9")),
            (None, &slurm("x")),
            (None, &[("SLURM_ARRAY_TASK_ID", "3")]),
            (Some("/1"), &gitlab),
        ] {
            assert!(chosen(asked, env).is_err(), "{asked:?} {env:?}");
        }
    }

    #[test]
    fn each_job_is_in_one_shard() {
        let shard = |number| ChosenShard { number, of: 3, by: "" };
        for position in 0..10 {
            assert_eq!((1..=3).filter(|number| shard(*number).has(position)).count(), 1);
        }
        assert!(WHOLE.has(7) && !WHOLE.is_part());
    }
}
