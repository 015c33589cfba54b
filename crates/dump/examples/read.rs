//! Reads one physical and one kernel virtual address:
//! `cargo run -p dump --example read -- vmcore 0x100000 init_uts_ns`.

#![allow(clippy::print_stdout)] // an example shows what it found

use dump::{Dump, KernelSymbols, NoWatch, PhysAddr};

fn main() -> dump::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [path, phys, symbol] = words.as_slice() else { return Err(dump::Error::missing("VMCORE ADDRESS SYMBOL")) };
    let image = Dump::open(path)?.into_image(&NoWatch)?;
    let mut bytes = [0; 32];
    let phys = u64::from_str_radix(phys.trim_start_matches("0x"), 16);
    let phys = phys.map_err(|e| dump::Error::missing(format!("ADDRESS in hexadecimal: {e}")))?;
    image.read_phys(PhysAddr(phys), &mut bytes)?;
    println!("physical {phys:#x}: {bytes:02x?}");
    let at = image.vmcoreinfo().and_then(|info| info.symbol(symbol));
    let at = at.ok_or_else(|| dump::Error::missing(format!("vmcoreinfo lacks SYMBOL({symbol})")))?;
    image.read_virt(at, &mut bytes)?;
    println!("{symbol} at {at}: {bytes:02x?}");
    Ok(())
}
