//! Filters a dump: `cargo run -p dump --example convert -- vmcore 31 out.kdump`.

#![allow(clippy::print_stdout)] // an example shows what it found

use dump::{ConvertOptions, Dump, DumpLevel, NoWatch};

fn main() -> dump::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [input, level, output] = words.as_slice() else { return Err(dump::Error::missing("VMCORE LEVEL DUMPFILE")) };
    let level = level.parse().ok().and_then(DumpLevel::new);
    let level = level.ok_or_else(|| dump::Error::missing("LEVEL from 0 to 31"))?;
    let image = Dump::open(input)?.into_image(&NoWatch)?;
    let kdump = dump::format("kdump").ok_or_else(|| dump::Error::unsupported("kdump"))?;
    let options = ConvertOptions { codec: dump::codec("zlib"), level, ..ConvertOptions::new(kdump) };
    let done = dump::convert_to_file(&image, &options, output)?;
    println!("{} of {} pages written", done.dumpable, done.ram_pages);
    Ok(())
}
