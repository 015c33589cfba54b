//! The memory of a dumped machine, with what is known about its kernel: from the notes, or from vmcoreinfo found in
//! memory, which corrects what QEMU omits or gets wrong.

use crate::guest::{LIVE_SAID, is_live};
use crate::identity::Identity;
use crate::kernel_files::KernelFiles;
use crate::open::Dump;
use crate::view::KernelView;
use crate::xen_files::XenFiles;
use crate::xen_host;
use dump_core::{
    CodecId, Container, Detail, DumpMeta, Error, ErrorKind, Notes, OwnNote, PageSize, PageSource, Pfn, PfnRange,
    PhysAddr, Repaged, Result, UtsName, VirtAddr, Watch,
};
use dump_kernel::arch::{MachineFacts, arch_of};
use dump_kernel::{Answer, Kernel, PhysMemory, SourceMemory, Sources, Vmcoreinfo, Words};
use dump_xen::XenHost;
use std::sync::Arc;

/// The memory of a dumped machine and what is known about it.
pub struct Image {
    source: Box<dyn PageSource>,
    meta: DumpMeta,
    info: Option<Vmcoreinfo>,
    sources: Arc<Sources>,
    found_at: Option<Pfn>,
    remarks: Vec<Error>,
    details: Vec<Detail>,
    doubt: Option<Error>,
    damage: Option<Error>,
    doubts: Vec<Error>,
    codec: Option<CodecId>,
    part: Option<PfnRange>,
    name: String,
    says_incomplete: bool,
}

/// Why what is made of a dump is flagged incomplete although all its pages were had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shortcoming {
    /// It is flagged so itself.
    Flagged,
    /// It ends early, or it contradicts itself.
    Damaged,
    /// It is one part of a split dump.
    Part,
    /// The system could not read all of it, so that it may be sound.
    Unread,
}

impl Image {
    pub(crate) fn new(dump: Dump, files: &KernelFiles, watch: &dyn Watch) -> Result<Image> {
        let (name, damage, description) = (dump.name().to_owned(), dump.damage().cloned(), dump.describe());
        let (doubts, labels, says_incomplete) = (dump.doubts(), dump.labels(), dump.meta().incomplete);
        let told = dump.container().remarks().to_vec();
        let details = dump.details();
        let mut container = dump.into_container();
        let Identity { chosen, passed_over, doubt } = Identity::of(&container, files, watch)?;
        let live = is_live(container.meta()).then(|| Error::corrupt(LIVE_SAID));
        let remarks = live.into_iter().chain(told).chain(passed_over).chain(labels).collect();
        let info = chosen.as_ref().map(|chosen| Vmcoreinfo::parse(&chosen.text));
        info.as_ref().map_or(Ok(()), |info| files.check(info))?;
        set_page_size(container.as_mut(), info.as_ref());
        let source: Box<dyn PageSource> = Box::new(container);
        let mut meta = source.meta().clone();
        let found_at = chosen.as_ref().and_then(|chosen| chosen.places.first().copied());
        match chosen {
            Some(chosen) => {
                let turned = meta.machine.order != chosen.machine.order;
                meta.machine = chosen.machine;
                if meta.notes.order() != chosen.machine.order && (turned || found_at.is_some()) {
                    meta.notes = meta.notes.in_order(chosen.machine.order);
                }
                if !meta.notes.has_only_vmcoreinfo(&chosen.text) {
                    meta.notes = meta.notes.with_vmcoreinfo(&chosen.text)?;
                }
            }
            None => meta.notes.disbelieve_vmcoreinfo(),
        }
        let source = cut_to_page_size(source, info.as_ref(), &mut meta);
        let (codec, part) = (description.codec, description.part);
        let sources = Arc::new(files.sources(info.as_ref()));
        let mut image = Image {
            source,
            meta,
            info,
            sources,
            found_at,
            remarks,
            details,
            doubt,
            damage,
            doubts,
            codec,
            part,
            name,
            says_incomplete,
        };
        image.complete();
        // what comes of it must say so, for nobody will see it otherwise; a part lacks the pages of the others
        image.meta.incomplete |= !image.is_sound();
        Ok(image)
    }

    /// The same, with one more note of our own for what is made of it.
    ///
    /// # Errors
    /// `Unsupported` if it is longer than a note can be.
    pub fn with_own_note(mut self, what: OwnNote, bytes: &[u8]) -> Result<Image> {
        self.meta.notes = self.meta.notes.with_own(what, bytes)?;
        Ok(self)
    }

    /// The same with other notes and more remarks, and with the memory that `make` makes of its own.
    pub(crate) fn with_memory(
        mut self,
        notes: Notes,
        remarks: Vec<Error>,
        make: impl FnOnce(Box<dyn PageSource>) -> Box<dyn PageSource>,
    ) -> Image {
        self.meta.notes = notes;
        self.remarks.extend(remarks);
        Image { source: make(self.source), ..self }
    }

    /// The same with one more note.
    ///
    /// # Errors
    /// `Unsupported` if it is longer than a note can be.
    pub(crate) fn with_note(mut self, name: &[u8], kind: u32, desc: &[u8]) -> Result<Image> {
        self.meta.notes = self.meta.notes.with_note(name, kind, desc)?;
        Ok(self)
    }

    /// Its pages, in the page size of its kernel.
    pub fn source(&self) -> &dyn PageSource {
        self.source.as_ref()
    }

    /// What the container states about the machine, completed from vmcoreinfo.
    pub fn meta(&self) -> &DumpMeta {
        &self.meta
    }

    /// Its vmcoreinfo.
    pub fn vmcoreinfo(&self) -> Option<&Vmcoreinfo> {
        self.info.as_ref()
    }

    /// What was asked of the kernel's symbols and answered so far, and by what: its vmcoreinfo, its own kallsyms and BTF
    /// in memory, files that were given.
    pub fn answers(&self) -> Vec<Answer> {
        self.sources.answers()
    }

    /// Why the kernel's own kallsyms or BTF cannot be read, where they were needed.
    pub fn own_symbol_failures(&self) -> Vec<Error> {
        self.sources.own_failures()
    }

    /// What else the container's headers say, for people.
    pub fn details(&self) -> &[Detail] {
        &self.details
    }

    /// The page frame in which vmcoreinfo was found, if memory had to be searched for it.
    pub fn vmcoreinfo_found_at(&self) -> Option<Pfn> {
        self.found_at
    }

    /// What takes nothing from its pages, a line each: notes VMCOREINFO that are not believed, because memory holds
    /// something else where they have their kernel; what headers call the dump and cannot be so.
    pub fn remarks(&self) -> &[Error] {
        &self.remarks
    }

    /// Why no kernel is believed to be the one that ran although there are signs of one: two that nothing decides
    /// between, a Windows guest, a Xen host.
    pub fn doubt(&self) -> Option<&Error> {
        self.doubt.as_ref()
    }

    /// Why the dump ends early, if it does.
    pub fn damage(&self) -> Option<&Error> {
        self.damage.as_ref()
    }

    /// Contradictions that leave in doubt which pages there are, or what they hold.
    pub fn doubts(&self) -> &[Error] {
        &self.doubts
    }

    /// Whether all that is known of its container speaks for it: no damage, no contradiction, no part of it missing.
    pub fn is_sound(&self) -> bool {
        self.damage.is_none() && self.doubts.is_empty() && self.part.is_none()
    }

    /// What of it the system could not read when it was opened, among [`damage`](Image::damage) and
    /// [`doubts`](Image::doubts): it says nothing of the dump.
    pub fn unread(&self) -> impl Iterator<Item = &Error> {
        self.damage.iter().chain(&self.doubts).filter(|e| e.kind() == ErrorKind::Io)
    }

    /// Why what is made of it is flagged incomplete, whatever becomes of its pages.
    pub fn shortcoming(&self) -> Option<Shortcoming> {
        let unread = self.unread().count();
        if self.says_incomplete {
            Some(Shortcoming::Flagged)
        } else if self.damage.iter().chain(&self.doubts).count() > unread {
            Some(Shortcoming::Damaged)
        } else if self.part.is_some() {
            Some(Shortcoming::Part)
        } else {
            (unread != 0).then_some(Shortcoming::Unread)
        }
    }

    /// How the container's pages are compressed, if they are.
    pub fn codec(&self) -> Option<CodecId> {
        self.codec
    }

    /// The page frames that it holds, where it is one part of a split dump without the others.
    pub fn part(&self) -> Option<PfnRange> {
        self.part
    }

    /// Its names, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its memory by physical address.
    pub fn memory(&self) -> SourceMemory<'_> {
        SourceMemory::new(self.source.as_ref())
    }

    /// Fills `buf` from physical address `at` on.
    ///
    /// # Errors
    /// If a byte of it is not in the dump or cannot be read.
    pub fn read_phys(&self, at: PhysAddr, buf: &mut [u8]) -> Result<()> {
        self.memory().reader().read(at, buf)
    }

    /// Fills `buf` from virtual address `at` of the kernel on. To read more than a few,
    /// make a [`Kernel`] and keep its memory.
    ///
    /// # Errors
    /// As [`kernel`](Image::kernel); if a part of it is not mapped, or not in the dump.
    pub fn read_virt(&self, at: VirtAddr, buf: &mut [u8]) -> Result<()> {
        self.kernel()?.memory(&self.memory()).read(at, buf)
    }

    /// The physical address that virtual address `at` stands for: of the kernel, or of the process that ran where it
    /// crashed.
    ///
    /// # Errors
    /// As [`kernel`](Image::kernel) and [`Kernel::phys_of`].
    pub fn translate(&self, at: VirtAddr) -> Result<PhysAddr> {
        self.kernel()?.phys_of(&self.memory(), at)
    }

    /// Its kernel, through whose page tables virtual addresses are read.
    ///
    /// # Errors
    /// `MissingInfo` if there is no vmcoreinfo, or it lacks a key; `Unsupported` if the page tables of the architecture
    /// are not supported; the [doubt](Image::doubt) that there is.
    pub fn kernel(&self) -> Result<Kernel> {
        if let Some(doubt) = &self.doubt {
            return Err(doubt.clone());
        }
        let info = self.info.as_ref().ok_or_else(|| Error::missing("the dump has no VMCOREINFO"))?;
        let DumpMeta { machine, page_size, segments, .. } = &self.meta;
        Kernel::with_sources(info.clone(), Arc::clone(&self.sources), *machine, *page_size, segments)
    }

    /// Its kernel with all struct pages located, for filtering.
    ///
    /// # Errors
    /// As [`kernel`](Image::kernel), and if mem_map cannot be located.
    pub fn kernel_view(&self) -> Result<KernelView> {
        let kernel = self.kernel()?;
        KernelView::new(kernel, self.meta.end_pfn, &self.memory())
    }

    /// The hypervisor of a Xen host, whose dump this is.
    ///
    /// # Errors
    /// `Unsupported` if it is none; `MissingInfo` or `Corrupt` if what its notes say does not lead to its frame table;
    /// `OtherKernel` if `files` are of another Xen.
    pub fn xen_host(&self, files: &XenFiles) -> Result<XenHost> {
        xen_host::host(self.source.as_ref(), files)
    }

    /// Puts in what vmcoreinfo exports: it wins over headers, since QEMU leaves utsname empty, misreads phys_base (a
    /// decimal number taken for hexadecimal) and knows no crash time.
    fn complete(&mut self) {
        let Some(info) = &self.info else { return };
        self.meta.crash_time = info.crash_time().or(self.meta.crash_time);
        self.meta.phys_base = self.phys_base(info).or(self.meta.phys_base);
        let read = self.kernel().and_then(|kernel| kernel.utsname(&self.memory()));
        let unreadable = read.as_ref().err().filter(|e| e.kind() == ErrorKind::Io);
        // what is written says the release that vmcoreinfo has, and lacks the version
        self.doubts.extend(unreadable.map(|e| e.clone().within("the kernel's names cannot be read")));
        let read = read.ok().filter(|uts| info.release().is_some_and(|release| uts.release() == release));
        if read.is_some() {
            self.meta.utsname = read;
        } else if Some(self.meta.release().unwrap_or_default().as_str()) != info.release() {
            let machine = self.meta.machine.name().unwrap_or_default();
            self.meta.utsname = Some(UtsName::named(info.release().unwrap_or_default(), machine));
        }
    }

    /// Physical minus link address of the kernel image, by its architecture. A vmcoreinfo that lacks what the page tables need
    /// is not believed in this either.
    fn phys_base(&self, info: &Vmcoreinfo) -> Option<u64> {
        if self.kernel().err().is_some_and(|e| e.kind() == ErrorKind::MissingInfo) {
            return None;
        }
        let DumpMeta { machine, page_size, segments, .. } = &self.meta;
        let facts = MachineFacts { symbols: info, words: Words::of(*machine), page_size: *page_size, segments };
        arch_of(*machine).and_then(|arch| arch.phys_base(facts))
    }
}

/// Pages as the kernel has them, where the container does not state what they are; it was opened with those of the first
/// note.
fn set_page_size(container: &mut dyn Container, info: Option<&Vmcoreinfo>) {
    let size = info.and_then(Vmcoreinfo::page_size).unwrap_or(PageSize::K4);
    if size != container.meta().page_size {
        container.set_page_size(size);
    }
}

/// Pages as the kernel has them, where the container has larger ones (QEMU has 64 KiB for every arm64 guest).
fn cut_to_page_size(
    source: Box<dyn PageSource>,
    info: Option<&Vmcoreinfo>,
    meta: &mut DumpMeta,
) -> Box<dyn PageSource> {
    let Some(page_size) = info.and_then(Vmcoreinfo::page_size) else { return source };
    match Repaged::new(source, page_size) {
        Ok(cut) => {
            meta.page_size = page_size;
            meta.end_pfn = cut.meta().end_pfn;
            Box::new(cut)
        }
        Err(source) => source,
    }
}
