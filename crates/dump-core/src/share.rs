//! Work shared out to all workers of a rayon pool, with one state for each worker.
//!
//! rayon's own `map_init` makes a state for each piece that it splits off, and a worker that waits for one piece begins
//! another on top of it: with eight workers two dozen buffers were alive at a time. Here there are as many as workers.

use std::sync::{Mutex, PoisonError};

/// Hands `items` out in order, each to the next worker of the current rayon pool that has none, and returns what `work`
/// made of them, in the order of the items.
pub fn share_out<T, S, R>(
    items: impl Iterator<Item = T> + Send,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, T) -> R + Sync,
) -> Vec<R>
where
    T: Send,
    R: Send,
{
    // the state dies with its worker: it may hold what cannot be sent to another
    let done = each_worker(items.enumerate(), &|next| {
        let (mut done, mut held) = (Vec::new(), None);
        while let Some((i, item)) = next() {
            done.push((i, work(held.get_or_insert_with(&state), item)));
        }
        done
    });
    let mut done: Vec<(usize, R)> = done.into_iter().flatten().collect();
    done.sort_unstable_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, made)| made).collect()
}

/// Gives the next item, `None` when there is none left.
pub type Next<'a, T> = &'a mut dyn FnMut() -> Option<T>;

/// Lets each worker of the current rayon pool take items, in order, until there are no more; returns what each worker
/// made of all of its items.
pub fn each_worker<T: Send, R: Send>(
    items: impl Iterator<Item = T> + Send,
    work: &(dyn Fn(Next<'_, T>) -> R + Sync),
) -> Vec<R> {
    let items = Mutex::new(items);
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    rayon::broadcast(|_| work(&mut || next()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_come_in_order_and_states_are_few() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let states = AtomicUsize::new(0);
        let squares = pool.install(|| {
            share_out(
                0..1000u64,
                || states.fetch_add(1, Ordering::Relaxed),
                |_, n| {
                    std::thread::yield_now();
                    n * n
                },
            )
        });
        assert!(squares.iter().enumerate().all(|(i, square)| *square == (i * i) as u64) && squares.len() == 1000);
        assert!((1..=3).contains(&states.into_inner()));
    }
}
