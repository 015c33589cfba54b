//! Outputs that tell when there is nothing more to read: pages come first, then they are stored, which takes as long as
//! the disk does. A guest need not stand still for that.

use dump::{Result, WriteAt};

/// An output that tells when its pages are all written.
pub struct AllRead<'a> {
    inner: &'a dyn WriteAt,
    /// Called before all is stored, maybe more than once.
    tell: &'a (dyn Fn() + Sync),
}

impl<'a> AllRead<'a> {
    /// `inner`, of which `tell` is told.
    pub fn new(inner: &'a dyn WriteAt, tell: &'a (dyn Fn() + Sync)) -> AllRead<'a> {
        AllRead { inner, tell }
    }
}

impl WriteAt for AllRead<'_> {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.inner.write_at(offset, bytes)
    }

    fn zeros(&self, offset: u64, len: u64) -> Result<()> {
        self.inner.zeros(offset, len)
    }

    fn can_rewrite(&self) -> bool {
        self.inner.can_rewrite()
    }

    /// What is stored is whole, or was given up: no page is read from here on.
    fn sync(&self) -> Result<()> {
        (self.tell)();
        self.inner.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Takes down what is asked of it.
    #[derive(Default)]
    struct Log(Mutex<Vec<&'static str>>);

    impl Log {
        fn add(&self, what: &'static str) {
            self.0.lock().unwrap().push(what);
        }
    }

    impl WriteAt for Log {
        fn write_at(&self, _: u64, _: &[u8]) -> Result<()> {
            self.add("write");
            Ok(())
        }

        fn zeros(&self, _: u64, _: u64) -> Result<()> {
            self.add("zeros");
            Ok(())
        }

        fn sync(&self) -> Result<()> {
            self.add("sync");
            Ok(())
        }
    }

    #[test]
    fn it_tells_before_the_disk_is_waited_for() {
        let log = Log::default();
        let tell = || log.add("told");
        let output = AllRead::new(&log, &tell);
        output.write_at(0, b"page").unwrap();
        output.zeros(4, 8).unwrap();
        output.sync().unwrap();
        assert_eq!(*log.0.lock().unwrap(), ["write", "zeros", "told", "sync"]);
    }
}
