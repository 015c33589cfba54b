//! What all images are: memory in extents, and nothing known about the machine.

use dump_core::{Description, DumpMeta, Error, ExtentContainer, ExtentMemory, ExtentPages, Machine, PageSize};

/// An image of `format`, with what is wrong with the file and where, if anything is.
pub(crate) fn image<M: ExtentMemory>(format: &'static str, memory: M, damage: Option<Error>) -> ExtentContainer<M> {
    // Until vmcoreinfo is found in memory, nothing says the page size; 4 KiB divides every other.
    let pages = ExtentPages::new(memory, DumpMeta::new(Machine::UNKNOWN, PageSize::K4));
    ExtentContainer::new(Description::of(format), pages).of_any_page_size().with_damage(damage)
}
