//! A Slurm of two nodes on this host: a controller, and a daemon for each node, on ports and in folders of their own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::program;

/// Debian's packages.
const PACKAGES: &[&str] = &["munge", "slurm-client", "slurmctld", "slurmd"];

/// The nodes.
pub const NODES: [&str; 2] = ["n1", "n2"];

/// The first of the ports: the controller's, then the nodes'.
const PORT: u16 = 26_817;

/// How long it may take until nodes are there.
const PATIENCE: Duration = Duration::from_secs(60);

/// The cluster; ended with its value.
pub struct Cluster {
    dir: TempDir,
    daemons: Vec<Child>,
}

impl Cluster {
    /// Starts it; what is missing is installed.
    pub fn start() -> Result<Cluster> {
        install()?;
        let mut cluster = Cluster { dir: tempfile::tempdir()?, daemons: Vec::new() };
        cluster.configure()?;
        let dir = cluster.dir.path().to_owned();
        let at = |name: &str| dir.join(name);
        let mut munged = Command::new("munged");
        munged.args(["--force", "--foreground"]).arg(option("--socket", &at("munge.socket")));
        munged.arg(option("--key-file", &at("munge.key"))).arg(option("--pid-file", &at("munge.pid")));
        munged.arg(option("--log-file", &at("munge.log"))).arg(option("--seed-file", &at("munge.seed")));
        cluster.daemon(&mut munged)?;
        wait("munge's socket", || Ok(at("munge.socket").exists()))?;
        cluster.daemon(Command::new("slurmctld").args(["-D", "-c", "-f"]).arg(at("slurm.conf")))?;
        for node in NODES {
            cluster.daemon(Command::new("slurmd").args(["-D", "-N", node, "-f"]).arg(at("slurm.conf")))?;
        }
        let idle = || {
            let said = program::output(cluster.command("sinfo").args(["--noheader", "--states=idle", "--format=%D"]))?;
            Ok(String::from_utf8_lossy(&said.stdout).trim() == NODES.len().to_string())
        };
        wait("two idle nodes", idle).with_context(|| cluster.logs())?;
        Ok(cluster)
    }

    /// A command that speaks to it.
    pub fn command(&self, name: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(name);
        command.env("SLURM_CONF", self.dir.path().join("slurm.conf"));
        command
    }

    fn configure(&self) -> Result<()> {
        let dir = self.dir.path();
        let host = program::quiet(Command::new("hostname").arg("-s"))?.trim().to_owned();
        let at = dir.display();
        let mut conf = format!(
            "ClusterName=gdump\nSlurmctldHost={host}(127.0.0.1)\nSlurmUser=root\nSlurmdUser=root\nAuthType=auth/munge\n\
             AuthInfo=socket={at}/munge.socket\nStateSaveLocation={at}/state\nSlurmdSpoolDir={at}/spool-%n\n\
             SlurmctldPidFile={at}/slurmctld.pid\nSlurmdPidFile={at}/slurmd-%n.pid\nSlurmctldPort={PORT}\n\
             SlurmctldLogFile={at}/slurmctld.log\nSlurmdLogFile={at}/slurmd-%n.log\nProctrackType=proctrack/pgid\n\
             TaskPlugin=task/none\nSchedulerType=sched/backfill\nSelectType=select/cons_tres\n\
             SelectTypeParameters=CR_CPU\nMpiDefault=none\nReturnToService=2\nPartitionName=main Nodes=ALL Default=YES State=UP\n"
        );
        for (node, port) in NODES.iter().zip(PORT + 1..) {
            conf.push_str(&format!("NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1\n"));
        }
        std::fs::create_dir(dir.join("state"))?;
        std::fs::write(dir.join("slurm.conf"), conf)?;
        let mut key = vec![0; 128];
        std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut key)?;
        std::fs::write(dir.join("munge.key"), key)?;
        program::run(Command::new("chmod").arg("400").arg(dir.join("munge.key")))
    }

    fn daemon(&mut self, command: &mut Command) -> Result<()> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.daemons.push(child.with_context(|| format!("cannot start {:?}", command.get_program()))?);
        Ok(())
    }

    /// The last lines that its daemons wrote.
    pub fn logs(&self) -> String {
        let logs = ["slurmctld.log", "slurmd-n1.log", "slurmd-n2.log"].map(|name| self.dir.path().join(name));
        let last = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(5).collect();
            lines.into_iter().rev().collect::<Vec<_>>().join("\n")
        };
        logs.iter().map(last).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // nodes first, for they tell the controller
        while let Some(mut daemon) = self.daemons.pop() {
            let _ = Command::new("kill").arg(daemon.id().to_string()).status();
            let _ = daemon.wait();
        }
    }
}

fn option(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

fn install() -> Result<()> {
    if ["munged", "sbatch", "slurmctld", "slurmd"].iter().all(|name| program::find(name).is_some()) {
        return Ok(());
    }
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive").args(["install", "--yes", "--no-install-recommends"]);
    program::quiet(apt.args(PACKAGES)).map(|_| ())
}

/// Waits until it is so.
fn wait(what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !is_so()? {
        if begun.elapsed() > PATIENCE {
            bail!("{what}: not there after {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
