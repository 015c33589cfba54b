//! What all images are: memory in extents, and nothing known about the machine.

use dump_core::{
    Container, Description, Detail, DumpMeta, Error, ExtentMemory, ExtentPages, Machine, PageBitmap, PageReader,
    PageSize, PageSource, Result,
};

/// An opened image.
pub(crate) struct Image<M> {
    format: &'static str,
    pages: ExtentPages<M>,
    damage: Option<Error>,
    remarks: Vec<Error>,
    details: Vec<Detail>,
}

impl<M: ExtentMemory> Image<M> {
    /// An image of `format`, with what is wrong with the file and where, if anything is.
    pub fn new(format: &'static str, memory: M, damage: Option<Error>) -> Image<M> {
        // Until vmcoreinfo is found in memory, nothing says the page size; 4 KiB divides every other.
        let meta = DumpMeta::new(Machine::UNKNOWN, PageSize::K4);
        Image { format, pages: ExtentPages::new(memory, meta), damage, remarks: Vec::new(), details: Vec::new() }
    }

    /// The same, with what whoever reads it should know first.
    pub fn with_remarks(self, remarks: Vec<Error>) -> Image<M> {
        Image { remarks, ..self }
    }

    /// The same, with what else there is to say of it.
    pub fn with_details(self, details: Vec<Detail>) -> Image<M> {
        Image { details, ..self }
    }
}

impl<M: ExtentMemory> PageSource for Image<M> {
    fn meta(&self) -> &DumpMeta {
        self.pages.meta()
    }

    fn mark_ram(&self, ram: &mut PageBitmap) -> Result<()> {
        self.pages.mark_ram(ram)
    }

    fn mark_held(&self, held: &mut PageBitmap) -> Result<()> {
        self.pages.mark_held(held)
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        self.pages.reader()
    }
}

impl<M: ExtentMemory> Container for Image<M> {
    fn describe(&self) -> Description {
        Description::of(self.format)
    }

    fn damage(&self) -> Option<&Error> {
        self.damage.as_ref()
    }

    fn remarks(&self) -> &[Error] {
        &self.remarks
    }

    fn details(&self) -> Vec<Detail> {
        self.details.clone()
    }

    fn states_page_size(&self) -> bool {
        false
    }

    fn set_page_size(&mut self, size: PageSize) {
        self.pages.set_page_size(size);
    }
}
