//! A Windows crash dump as a container.

use crate::format::NAME;
use crate::header::Header;
use crate::note;
use crate::reading::{self, Found};
use dump_core::{
    Claim, Container, Description, DumpMeta, Error, Notes, PageBitmap, PageReader, PageSize, PageSource, ReadAt, Result,
};

/// An opened dump.
pub struct WindowsDump {
    header: Header,
    pages: Box<dyn PageSource>,
    damage: Option<Error>,
    faults: Vec<Error>,
    doubts_pages: bool,
}

/// CPUs that a header is believed to count: Windows runs on 2048.
const MOST_CPUS: u32 = 1 << 16;

/// Opens a dump: reads its header and what says where its pages are.
///
/// Of a file that ends early see [`damage`](Container::damage): which pages there are is known, and those that are not
/// there cannot be read.
///
/// # Errors
/// `BadMagic` if it is no Windows crash dump; `Unsupported` if it is one that has no memory to speak of; `Corrupt` or
/// `Truncated` if what says where pages are makes no sense or is not there.
pub fn open(input: impl ReadAt + 'static) -> Result<WindowsDump> {
    let header = Header::read(&input)?;
    let Found { pages, damage, faults } = reading::find(input, &header, meta(&header)?)?;
    let doubts_pages = !faults.is_empty();
    let faults = faults.into_iter().chain(faults_of(&header)).collect();
    Ok(WindowsDump { header, pages, damage, faults, doubts_pages })
}

fn meta(header: &Header) -> Result<DumpMeta> {
    let meta = DumpMeta::new(header.machine(), PageSize::K4);
    Ok(DumpMeta {
        notes: note::with_header(&Notes::empty(Header::ORDER), header)?,
        stated_cpus: header.cpus().filter(|cpus| *cpus <= MOST_CPUS),
        crash_time: header.system_time(),
        ..meta
    })
}

/// What the header says that cannot be, besides where pages are.
fn faults_of(header: &Header) -> Vec<Error> {
    let layout = header.layout();
    let mut faults = Vec::new();
    if header.machine().elf_machine.is_none() {
        let (number, at) = (header.machine_number(), layout.machine);
        faults.push(Error::corrupt(format!(
            "MachineImageType {number:#x} at offset {at:#x} is no machine that is known"
        )));
    }
    if let Some(cpus) = header.cpus().filter(|cpus| *cpus == 0 || *cpus > MOST_CPUS) {
        faults.push(Error::corrupt(format!("NumberProcessors at offset {:#x} is {cpus}", layout.cpus)));
    }
    faults
}

impl WindowsDump {
    /// Its header.
    pub fn header(&self) -> &Header {
        &self.header
    }
}

impl PageSource for WindowsDump {
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
        self.pages.claim()
    }

    fn reader(&self) -> Box<dyn PageReader + '_> {
        self.pages.reader()
    }
}

impl Container for WindowsDump {
    fn describe(&self) -> Description {
        Description { producer: self.header.dump_type().name(), ..Description::of(NAME) }
    }

    fn damage(&self) -> Option<&Error> {
        self.damage.as_ref()
    }

    fn header_faults(&self) -> &[Error] {
        &self.faults
    }

    fn doubts_pages(&self) -> bool {
        self.doubts_pages
    }

    fn states_page_size(&self) -> bool {
        true
    }

    fn set_page_size(&mut self, _: PageSize) {}
}
