//! Which process is attached to a TUN device. Netlink does not say; `/proc` does, to root and to the process's own user.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process;

/// A process that is attached to a TUN device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process ID.
    pub pid: u32,
    /// The name of its program (`/proc/PID/comm`).
    pub program: String,
}

impl Holder {
    /// Whether it is the calling process.
    #[must_use]
    pub fn is_this_process(&self) -> bool {
        self.pid == process::id()
    }
}

/// Finds the process that is attached to the TUN device `name`, among those of this network namespace: a device of the same
/// name in another namespace is another device. `None` when this user may not see it.
#[must_use]
pub fn holder_of(name: &str) -> Option<Holder> {
    let namespace = namespace(Path::new("/proc/thread-self"))?;
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.into_iter().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let folder = entry.path();
        let holds = self::namespace(&folder) == Some(namespace) && has_open(&folder, name);
        holds.then(|| {
            let program = fs::read_to_string(folder.join("comm")).unwrap_or_default();
            Holder { pid, program: program.trim_end().to_owned() }
        })
    })
}

/// The inode of a process's or thread's network namespace.
fn namespace(folder: &Path) -> Option<u64> {
    fs::metadata(folder.join("ns/net")).ok().map(|namespace| namespace.ino())
}

fn has_open(folder: &Path, name: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(folder.join("fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        // The device node may have another path in the file system of that process.
        let is_tun = fs::read_link(descriptor.path()).is_ok_and(|target| target.ends_with("tun"));
        is_tun && attached_to(&folder.join("fdinfo").join(descriptor.file_name())).as_deref() == Some(name)
    })
}

/// The line `iff:` and the name (`tun_chr_show_fdinfo` in drivers/net/tun.c).
fn attached_to(path: &Path) -> Option<String> {
    let info = fs::read_to_string(path).ok()?;
    info.lines().find_map(|line| line.strip_prefix("iff:")).map(|name| name.trim().to_owned())
}
