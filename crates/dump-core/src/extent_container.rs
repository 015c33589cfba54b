//! A container whose pages are bytes at ranges of memory: what its headers said is known when it is opened, and kept here.

use crate::addr::PageSize;
use crate::bitmap::PageBitmap;
use crate::container::{Container, Description, Detail};
use crate::error::{Error, Result};
use crate::extent_pages::{ExtentMemory, ExtentPages};
use crate::meta::DumpMeta;
use crate::source::{Claim, PageReader, PageSource};

/// An opened container of pages in extents.
pub struct ExtentContainer<M> {
    pages: ExtentPages<M>,
    description: Description,
    states_page_size: bool,
    damage: Option<Error>,
    faults: Vec<Error>,
    doubts_pages: bool,
    remarks: Vec<Error>,
    details: Vec<Detail>,
    missing: Option<u64>,
}

impl<M: ExtentMemory> ExtentContainer<M> {
    /// A container that states the size of its pages, and of which there is no more to say.
    pub fn new(description: Description, pages: ExtentPages<M>) -> ExtentContainer<M> {
        ExtentContainer {
            pages,
            description,
            states_page_size: true,
            damage: None,
            faults: Vec::new(),
            doubts_pages: false,
            remarks: Vec::new(),
            details: Vec::new(),
            missing: None,
        }
    }

    /// One that does not state the size of its pages.
    #[must_use]
    pub fn of_any_page_size(self) -> ExtentContainer<M> {
        ExtentContainer { states_page_size: false, ..self }
    }

    /// The same, with why it ends early, if it does.
    #[must_use]
    pub fn with_damage(self, damage: Option<Error>) -> ExtentContainer<M> {
        ExtentContainer { damage, ..self }
    }

    /// The same, with what is wrong with its headers, and whether that leaves its pages in doubt.
    #[must_use]
    pub fn with_faults(self, faults: Vec<Error>, doubts_pages: bool) -> ExtentContainer<M> {
        ExtentContainer { doubts_pages: doubts_pages && !faults.is_empty(), faults, ..self }
    }

    /// The same, with what whoever reads it should know first.
    #[must_use]
    pub fn with_remarks(self, remarks: Vec<Error>) -> ExtentContainer<M> {
        ExtentContainer { remarks, ..self }
    }

    /// The same, with what else its headers say.
    #[must_use]
    pub fn with_details(self, details: Vec<Detail>) -> ExtentContainer<M> {
        ExtentContainer { details, ..self }
    }

    /// The same, of whose pages the file lacks `missing`, where not all are bytes in it.
    #[must_use]
    pub fn with_missing(self, missing: u64) -> ExtentContainer<M> {
        ExtentContainer { missing: Some(missing), ..self }
    }
}

impl<M: ExtentMemory> PageSource for ExtentContainer<M> {
    fn meta(&self) -> &DumpMeta {
        self.pages.meta()
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.pages.mark_ram(ram)
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        self.pages.mark_held(held)
    }

    fn claim(&self) -> Claim {
        let claim = self.pages.claim();
        Claim { missing: self.missing.unwrap_or(claim.missing), ..claim }
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        self.pages.reader()
    }
}

impl<M: ExtentMemory> Container for ExtentContainer<M> {
    fn describe(&self) -> Description {
        self.description
    }

    fn damage(&self) -> Option<&Error> {
        self.damage.as_ref()
    }

    fn header_faults(&self) -> &[Error] {
        &self.faults
    }

    fn remarks(&self) -> &[Error] {
        &self.remarks
    }

    fn details(&self) -> Vec<Detail> {
        self.details.clone()
    }

    fn doubts_pages(&self) -> bool {
        self.doubts_pages
    }

    fn states_page_size(&self) -> bool {
        self.states_page_size
    }

    fn set_page_size(&mut self, size: PageSize) {
        if !self.states_page_size {
            self.pages.set_page_size(size);
        }
    }
}
