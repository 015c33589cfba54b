//! Questions about the dumped kernel that something outside must answer.

use dump_core::VirtAddr;

/// Symbols, sizes, offsets and numbers of the dumped kernel.
///
/// With [`PhysMemory`](crate::PhysMemory), all that this crate asks of its host. `None` means that the dump
/// lacks it.
pub trait KernelSymbols: Send + Sync {
    /// The address of a symbol, KASLR included.
    fn symbol(&self, name: &str) -> Option<VirtAddr>;
    /// The size of a type (bytes).
    fn size_of(&self, ty: &str) -> Option<u64>;
    /// The offset of a member, named `type.member` (bytes).
    fn offset_of(&self, member: &str) -> Option<u64>;
    /// The number of elements of an array.
    fn length_of(&self, array: &str) -> Option<u64>;
    /// The value of an enumerator, a macro or a variable.
    fn number(&self, name: &str) -> Option<i64>;
    /// The hexadecimal value of a line without a kind: KERNELOFFSET.
    fn key(&self, _name: &str) -> Option<u64> {
        None
    }
    /// Whether the kernel is known to have no enumerator, macro or variable of that name: it was built without.
    fn lacks_number(&self, _name: &str) -> bool {
        false
    }
    /// Major and minor version of its release.
    fn version(&self) -> Option<(u32, u32)>;
}
