//! A private network for each interop test: the test executes itself again inside fresh network,
//! process and mount namespaces, so that tests use fixed ports side by side and every program they
//! started dies with them.
//!
//! ```text
//!   #[test] --interop!--> unshare -n -p -m --> sh (lo up, route) --> this executable, --exact TEST
//! ```

#![expect(clippy::disallowed_methods, reason = "a shell: runs real programs in real time")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Set in the environment of the inner run, so that it knows where it is.
const INSIDE: &str = "PROCOM_TEST_NAMESPACE";
/// No test may take longer, whatever its peers do; nightly ones that do say so in
/// `PROCOM_TEST_LIMIT_S`.
const LIMIT: Duration = Duration::from_secs(280);
/// linphonec believes in its network only if its own address is not 127.0.0.1, hence the route.
/// sh stays process 1 of the namespace: when it ends, the kernel ends everything else in there.
const SET_UP: &str = "ip link set lo up && ip addr add 127.0.0.2/8 dev lo && ip route add default dev lo src 127.0.0.2 && \"$0\" \"$@\"";

/// Runs the body of a test in a namespace of its own: `interop!(["baresip"], |net| { .. })`. The
/// list names the programs the test needs on `PATH` (or `python:MODULE`, `web`).
#[macro_export]
macro_rules! interop {
    ([$($need:expr),* $(,)?], |$net:ident| $body:block) => {{
        fn here() {}
        $crate::namespace::run(
            ::std::any::type_name_of_val(&here),
            &[$($need),*],
            |$net: &$crate::namespace::Net| $body,
        );
    }};
}

/// The private network of one test, and the folder for its files.
#[derive(Debug)]
pub struct Net {
    folder: PathBuf,
}

impl Net {
    /// Returns where a file of this test lies.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes a folder for one program of this test.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).expect("the folder of a test is writable");
        folder
    }

    /// Writes a file of this test and returns its path.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("the folder of a test is writable");
        }
        fs::write(&path, content).expect("the folder of a test is writable");
        path
    }

    /// Resets every TCP connection to a local `port` and refuses new ones until
    /// [`Net::restore_tcp`].
    pub fn cut_tcp(&self, port: u16) {
        iptables(&["-I", "INPUT", "-p", "tcp", "--dport", &port.to_string()]);
        let status = command("ss")
            .args(["-K", "-t", "sport", "=", &port.to_string()])
            .stdout(std::process::Stdio::null())
            .status()
            .expect("ss (iproute2) can be started");
        assert!(status.success(), "ss kills no sockets on this kernel");
    }

    /// Undoes [`Net::cut_tcp`].
    pub fn restore_tcp(&self, port: u16) {
        iptables(&["-D", "INPUT", "-p", "tcp", "--dport", &port.to_string()]);
    }
}

fn iptables(rule: &[&str]) {
    let status = command("iptables-legacy")
        .args(rule)
        .args(["-j", "REJECT", "--reject-with", "tcp-reset"])
        .status()
        .expect("iptables-legacy can be started");
    assert!(status.success(), "iptables-legacy refused {rule:?}");
}

/// Returns a command whose `PATH` also holds the system programs' folders.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    let path = env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin"));
    command
}

/// Returns the root folder of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the workspace")
        .to_path_buf()
}

/// Returns cargo's folder of built programs (`target/debug`), which this executable lies in.
pub fn built() -> PathBuf {
    let exe = env::current_exe().expect("a process knows its executable");
    let mut folder = exe.parent().expect("an executable lies in a folder").to_path_buf();
    if folder.ends_with("deps") {
        folder.pop();
    }
    folder
}

/// Runs `body` in a namespace of its own. `here` is the type name of a function inside the test,
/// from which the test's name is read; use [`interop!`](crate::interop), which makes it.
pub fn run(here: &str, needs: &[&str], body: impl FnOnce(&Net)) {
    let name = test_name(here);
    let missing: Vec<_> = needs.iter().filter(|need| !is_there(need)).collect();
    if !missing.is_empty() {
        let required = env::var("PROCOM_REQUIRE_PEERS").is_ok_and(|value| value == "1");
        assert!(!required, "missing {missing:?}: run tests/run once");
        eprintln!("skipped: {name} needs {missing:?}");
        return;
    }
    if env::var(INSIDE).is_ok_and(|inside| inside == name) {
        let folder = scratch(name);
        body(&Net { folder });
        return;
    }
    run_inside(name);
}

/// `interop::calls::a_test::here` is the test `calls::a_test` of the executable `interop`.
fn test_name(here: &str) -> &str {
    let (_, path) = here.split_once("::").expect("a function lies in a crate");
    let (name, _) = path.rsplit_once("::").expect("the marker lies in a test function");
    name
}

fn scratch(name: &str) -> PathBuf {
    let target = built().parent().expect("built programs lie under target").to_path_buf();
    let folder = target.join("tmp/interop").join(name.replace("::", "."));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("target is writable");
    folder
}

fn run_inside(name: &str) {
    let is_root = nix::unistd::geteuid().is_root();
    let mut child = command("unshare")
        .args(if is_root { &[][..] } else { &["--map-root-user"][..] })
        .args(["--net", "--pid", "--mount-proc", "--fork", "--kill-child", "sh", "-c", SET_UP])
        .arg(env::current_exe().expect("a process knows its executable"))
        .args(["--exact", name, "--nocapture", "--include-ignored"])
        .env(INSIDE, name)
        .spawn()
        .expect("unshare (util-linux) can be started");
    assert!(succeeds_in_time(&mut child), "{name} failed in its namespace (see above)");
}

fn succeeds_in_time(child: &mut Child) -> bool {
    let seconds = env::var("PROCOM_TEST_LIMIT_S").ok().and_then(|text| text.parse().ok());
    let limit = seconds.map_or(LIMIT, Duration::from_secs);
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("a child of ours can be waited for") {
            return status.success();
        }
        sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    eprintln!("took longer than {limit:?}");
    false
}

fn is_there(need: &str) -> bool {
    match need.split_once(':') {
        Some(("python", module)) => command(crate::script::python())
            .args(["-c", &format!("import {module}")])
            .output()
            .is_ok_and(|output| output.status.success()),
        _ if need == "web" => {
            workspace().join("tests/interop/web/node_modules/puppeteer-core").is_dir()
        }
        _ => command("sh")
            .args(["-c", &format!("command -v {need}")])
            .output()
            .is_ok_and(|output| output.status.success()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_test_is_read_from_a_function_inside_it() {
        assert_eq!(test_name("interop::calls::bob_answers::here"), "calls::bob_answers");
        assert_eq!(test_name("interop::bob_answers::here"), "bob_answers");
    }
}
