//! Counts of what was left out, and why.

use crate::level::Reason;
use dump_core::Pfn;

/// Pages left out by reason, and pages that could not be judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    counts: [u64; Reason::ALL.len()],
    /// Pages kept because their struct pages cannot be read.
    pub unread: u64,
    /// Pages kept because their struct pages call them free with an order that no block has.
    pub bad_orders: u64,
    /// The first of those.
    pub first_bad_order: Option<Pfn>,
}

impl Tally {
    /// Pages left out for `reason`.
    pub fn count(&self, reason: Reason) -> u64 {
        self.counts[reason as usize]
    }

    /// Pages left out for any reason.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Counts `pages` more.
    pub fn add(&mut self, reason: Reason, pages: u64) {
        self.counts[reason as usize] += pages;
    }

    /// Notes a free page of impossible order.
    pub fn add_bad_order(&mut self, pfn: Pfn) {
        self.bad_orders += 1;
        self.first_bad_order = Some(self.first_bad_order.map_or(pfn, |first| first.min(pfn)));
    }

    /// Adds what another part of memory counted.
    pub fn merge(&mut self, other: &Tally) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.unread += other.unread;
        self.bad_orders += other.bad_orders;
        self.first_bad_order = [self.first_bad_order, other.first_bad_order].into_iter().flatten().min();
    }
}
