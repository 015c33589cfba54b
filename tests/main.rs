//! The program from end to end. What is checked against is never gdump's own code: dumps that others made, makedumpfile's
//! choice of pages for them, crash and drgn where they are installed, and readers of a few lines in `support`.

mod cli;
mod corpus;
mod damage;
mod eras;
mod layering;
mod readers;
mod support;
