//! Filters `vmcore` to `dump`, which is what docs/quickstart.md shows: `cargo run -p dump --example quickstart`.

#![allow(clippy::print_stdout)] // an example shows what it found

use dump::{ConvertOptions, Dump, DumpLevel, NoWatch};

fn main() -> dump::Result<()> {
    let image = Dump::open("vmcore")?.into_image(&NoWatch)?;
    let kdump = dump::format("kdump").ok_or_else(|| dump::Error::unsupported("kdump"))?;
    let (codec, level) = (dump::codec("zlib"), DumpLevel::all());
    let options = ConvertOptions { codec, level, ..ConvertOptions::new(kdump) };
    let done = dump::convert_to_file(&image, &options, "dump")?;
    println!("{} of {} pages kept", done.dumpable, done.ram_pages);
    Ok(())
}
