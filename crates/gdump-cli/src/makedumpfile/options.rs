//! makedumpfile's options: which there are, and what follows them.
//!
//! Source: makedumpfile 1.7.9, `main()` in makedumpfile.c, the tables that it gives to `getopt_long`.

/// What follows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// Nothing.
    Nothing,
    /// A word.
    Word,
    /// A number that `atoi` reads.
    Number,
    /// Numbers that `atoi` reads, and commas.
    Numbers,
    /// An address that `strtoul` reads.
    Address,
}

/// An option that is a letter.
pub struct Letter {
    /// The letter.
    pub letter: char,
    /// What follows it.
    pub follows: Follows,
}

/// An option that is a word.
pub struct Long {
    /// Its name, without the dashes.
    pub name: &'static str,
    /// What follows it.
    pub follows: Follows,
}

const fn letter(letter: char, follows: Follows) -> Letter {
    Letter { letter, follows }
}

const fn long(name: &'static str, follows: Follows) -> Long {
    Long { name, follows }
}

/// All letters.
pub const LETTERS: &[Letter] = &[
    letter('b', Follows::Number),
    letter('c', Follows::Nothing),
    letter('D', Follows::Nothing),
    letter('d', Follows::Numbers),
    letter('e', Follows::Nothing),
    letter('E', Follows::Nothing),
    letter('F', Follows::Nothing),
    letter('f', Follows::Nothing),
    letter('g', Follows::Word),
    letter('h', Follows::Nothing),
    letter('i', Follows::Word),
    letter('l', Follows::Nothing),
    letter('L', Follows::Word),
    letter('p', Follows::Nothing),
    letter('R', Follows::Nothing),
    letter('v', Follows::Nothing),
    letter('X', Follows::Nothing),
    letter('x', Follows::Word),
    letter('z', Follows::Nothing),
];

/// All words.
pub const LONGS: &[Long] = &[
    long("split", Follows::Nothing),
    long("reassemble", Follows::Nothing),
    long("xen-syms", Follows::Word),
    long("xen-vmcoreinfo", Follows::Word),
    long("xen_phys_start", Follows::Address),
    long("message-level", Follows::Number),
    long("vtop", Follows::Address),
    long("dump-dmesg", Follows::Nothing),
    long("partial-dmesg", Follows::Nothing),
    long("config", Follows::Word),
    long("help", Follows::Nothing),
    long("diskset", Follows::Word),
    long("cyclic-buffer", Follows::Number),
    long("eppic", Follows::Word),
    long("non-mmap", Follows::Nothing),
    long("mem-usage", Follows::Nothing),
    long("splitblock-size", Follows::Number),
    long("work-dir", Follows::Word),
    long("num-threads", Follows::Number),
    long("check-params", Follows::Nothing),
    long("dry-run", Follows::Nothing),
    long("show-stats", Follows::Nothing),
    long("extension", Follows::Word),
];
