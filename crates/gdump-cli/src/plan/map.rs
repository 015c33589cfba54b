//! A map of memory.

use super::inputs::{Inputs, KernelPaths};
use super::threads::threads_of_verb;
use crate::args::{Codec, MapArgs};
use dump::{CodecId, DumpLevel};
use std::path::{Path, PathBuf};

/// What a map is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapFormat {
    /// A picture.
    Svg,
    /// A page for a browser.
    Html,
    /// For programs.
    Json,
    /// As a terminal without colours has it.
    Text,
}

impl MapFormat {
    /// By its name, which file names end with.
    pub fn named(name: &str) -> Option<MapFormat> {
        match name.to_ascii_lowercase().as_str() {
            "svg" => Some(MapFormat::Svg),
            "html" | "htm" => Some(MapFormat::Html),
            "json" => Some(MapFormat::Json),
            "text" | "txt" => Some(MapFormat::Text),
            _ => None,
        }
    }

    fn of(path: &Path) -> Option<MapFormat> {
        path.extension().and_then(|end| MapFormat::named(end.to_str()?))
    }
}

/// A file with a map.
#[derive(Debug)]
pub struct MapOutput {
    /// Where it is written.
    pub path: PathBuf,
    /// As what.
    pub format: MapFormat,
    /// Whether it is overwritten.
    pub force: bool,
}

/// What to show of memory.
#[derive(Debug)]
pub struct MapPlan {
    /// The dump.
    pub inputs: Inputs,
    /// Where the map goes; without, to stdout.
    pub output: Option<MapOutput>,
    /// Whether it is shown as JSON there.
    pub json: bool,
    /// The dump level of the dump whose bytes are shown.
    pub level: DumpLevel,
    /// How its pages are compressed.
    pub codec: Option<CodecId>,
    /// Whether zero pages are looked for.
    pub zeros: bool,
    /// Memory that the work may take (bytes).
    pub max_memory: Option<u64>,
    /// Worker threads.
    pub threads: usize,
}

impl TryFrom<MapArgs> for MapPlan {
    type Error = String;

    /// # Errors
    /// One line, if the format of the output is not known.
    fn try_from(args: MapArgs) -> Result<MapPlan, String> {
        let codec = match args.codec() {
            Codec::None => None,
            Codec::Pages(codec) => Some(codec),
        };
        let output = args.output.map(|path| output(path, args.format, args.force)).transpose()?;
        let kernel = KernelPaths { vmlinux: args.vmlinux, vmcoreinfo: args.vmcoreinfo, ..KernelPaths::default() };
        Ok(MapPlan {
            inputs: Inputs { kernel, ..Inputs::to_look_at(args.files, &args.raw, args.max_unpacked) },
            output,
            json: args.json,
            level: args.level.unwrap_or_default(),
            codec,
            zeros: args.zeros,
            max_memory: args.max_memory,
            threads: threads_of_verb(args.num_threads),
        })
    }
}

fn output(path: PathBuf, format: Option<MapFormat>, force: bool) -> Result<MapOutput, String> {
    let unknown =
        || format!("-o {}: its name tells no format, expected .svg, .html or .json, or --format", path.display());
    let format = format.or_else(|| MapFormat::of(&path)).ok_or_else(unknown)?;
    Ok(MapOutput { path, format, force })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_by_names() {
        for (name, format) in [
            ("a.svg", Some(MapFormat::Svg)),
            ("b/a.HTML", Some(MapFormat::Html)),
            ("a.b.json", Some(MapFormat::Json)),
            ("svg", None),
            ("a.png", None),
            ("a.txt", Some(MapFormat::Text)),
        ] {
            assert_eq!(MapFormat::of(Path::new(name)), format, "{name}");
        }
        let refusal = output(PathBuf::from("map.png"), None, false).unwrap_err();
        assert!(refusal.contains("map.png") && refusal.contains("--format"), "{refusal}");
        assert_eq!(output(PathBuf::from("map.png"), Some(MapFormat::Svg), true).unwrap().format, MapFormat::Svg);
    }
}
