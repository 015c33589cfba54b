//! What a dump is: `cargo run -p dump --example info -- vmcore`.

#![allow(clippy::print_stdout)] // an example shows what it found

fn main() -> dump::Result<()> {
    for path in std::env::args_os().skip(1) {
        let dump = dump::Dump::open(path)?;
        let (what, meta) = (dump.describe(), dump.meta());
        println!(
            "{}: {}, {}, {}",
            dump.name(),
            what.format,
            meta.machine.name().unwrap_or("unknown machine"),
            what.producer.unwrap_or("unknown producer")
        );
        let (ram, held) = dump::bitmaps(dump.source())?;
        println!("  {} pages of RAM, {} held", ram.count(ram.span()), held.count(held.span()));
        println!("  kernel {:?}", dump.vmcoreinfo().and_then(|info| info.release().map(str::to_owned)));
    }
    Ok(())
}
