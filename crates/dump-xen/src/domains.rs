//! The domains of a host: Xen's list of them, and those that stand for no guest.
//!
//! A `page_info` names its owner by 32 bits (64 where Xen was built for more than 16 TiB): the frame of its
//! `struct domain` within the direct map. All are in its first 4 GiB of frames, and the list is in the order of their
//! numbers (xen/common/domain.c, domain_create), which ends every loop.

use crate::space::XenReader;
use dump_core::{Error, Result, VirtAddr};

/// Where the direct map begins (xen/arch/x86/include/asm/config.h, DIRECTMAP_VIRT_START): slot 262 of the top page
/// table, or 265 where Xen was built with CONFIG_BIGMEM.
const DIRECT_MAP: u64 = 0xffff_8300_0000_0000;
const DIRECT_MAP_BIG: u64 = 0xffff_8480_0000_0000;

/// The first number of a domain that is none: DOMID_FIRST_RESERVED (xen/include/public/xen.h).
const FIRST_RESERVED: u16 = 0x7ff0;

/// Which domain it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainKind {
    /// Domain 0.
    Zero,
    /// Another guest.
    Guest,
    /// One that stands for Xen's own memory, or for what all may map.
    Special,
}

/// A domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Its number.
    pub id: u16,
    /// What it is.
    pub kind: DomainKind,
    /// As owner of a page frame.
    pub owner: u64,
    /// Where Xen has it.
    pub at: VirtAddr,
}

/// All domains.
#[derive(Clone, Debug, Default)]
pub struct Domains {
    all: Vec<Domain>,
    /// The same by owner, ascending: every page frame is looked up.
    by_owner: Vec<Domain>,
    /// Why the list ends early, if it does.
    broken: Option<Error>,
}

/// Where to find them.
pub(crate) struct Places {
    pub list: VirtAddr,
    /// Variables that point to those without guests.
    pub special: Vec<VirtAddr>,
    pub id: u64,
    pub next: u64,
    /// Whether owners have 64 bits.
    pub big: bool,
}

impl Domains {
    /// Follows the list.
    ///
    /// # Errors
    /// If not even domain 0 can be read.
    pub(crate) fn read(places: &Places, reader: &mut XenReader<'_>) -> Result<Domains> {
        let mut domains = Domains::default();
        let mut at = reader.u64(places.list).map_err(|e| e.within("domain_list"))?;
        while at != 0 {
            match places.domain(at, reader) {
                Ok(domain) if domains.all.last().is_some_and(|last| last.id >= domain.id) => {
                    let text = format!("Xen's list of domains is broken: number {} comes again or late", domain.id);
                    domains.broken = Some(Error::corrupt(text));
                    break;
                }
                Ok(domain) => domains.all.push(domain),
                Err(e) => {
                    domains.broken = Some(e.within("Xen's list of domains is broken"));
                    break;
                }
            }
            match reader.u64(VirtAddr(at.wrapping_add(places.next))) {
                Ok(next) => at = next,
                Err(e) => {
                    domains.broken = Some(e.within("Xen's list of domains is broken"));
                    break;
                }
            }
        }
        if domains.all.is_empty() {
            return Err(domains.broken.unwrap_or_else(|| Error::missing("Xen's list of domains is empty")));
        }
        if domains.zero().is_none() && domains.broken.is_none() {
            domains.broken = Some(Error::corrupt("Xen's list of domains has no domain 0"));
        }
        for at in &places.special {
            let found = reader.u64(*at).ok().filter(|at| *at != 0).and_then(|at| Some((at, places.owner(at)?)));
            let special =
                |(at, owner)| Domain { id: FIRST_RESERVED, kind: DomainKind::Special, owner, at: VirtAddr(at) };
            domains.all.extend(found.map(special));
        }
        domains.by_owner.clone_from(&domains.all);
        domains.by_owner.sort_by_key(|domain| domain.owner);
        Ok(domains)
    }

    /// All, in the order of their numbers; those without guests last.
    pub fn all(&self) -> &[Domain] {
        &self.all
    }

    /// Why there may be more, where the list does not end as it should.
    pub fn broken(&self) -> Option<&Error> {
        self.broken.as_ref()
    }

    /// Domain 0, where it is there.
    pub fn zero(&self) -> Option<&Domain> {
        self.all.iter().find(|domain| domain.kind == DomainKind::Zero)
    }

    /// How many guests there are beside domain 0.
    pub fn guests(&self) -> usize {
        self.all.iter().filter(|domain| domain.kind == DomainKind::Guest).count()
    }

    /// The domain that is `owner`.
    pub fn by_owner(&self, owner: u64) -> Option<&Domain> {
        let first = self.by_owner.partition_point(|domain| domain.owner < owner);
        self.by_owner.get(first).filter(|domain| domain.owner == owner)
    }
}

impl Places {
    fn owner(&self, at: u64) -> Option<u64> {
        let first = if self.big { DIRECT_MAP_BIG } else { DIRECT_MAP };
        at.checked_sub(first).map(|offset| offset >> 12).filter(|owner| self.big || *owner <= u64::from(u32::MAX))
    }

    fn domain(&self, at: u64, reader: &mut XenReader<'_>) -> Result<Domain> {
        let id = reader.u16(VirtAddr(at.wrapping_add(self.id)))?;
        let text = || Error::corrupt(format!("domain {id} at {at:#x}, expected one in Xen's direct map"));
        let owner = self.owner(at).ok_or_else(text)?;
        let kind = match id {
            0 => DomainKind::Zero,
            id if id < FIRST_RESERVED => DomainKind::Guest,
            _ => DomainKind::Special,
        };
        Ok(Domain { id, kind, owner, at: VirtAddr(at) })
    }
}
