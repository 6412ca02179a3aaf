//! A simulator of a provider, as a process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use edge::providers::Caller;

use crate::server::BINARY;

/// It is killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: String,
}

impl Running {
    pub(crate) fn start(command: &str, data: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(BINARY)
            .args([command, "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().rsplit_once("http://").expect("an address").1.to_owned();
        Self { child, address }
    }

    pub(crate) fn caller(&self) -> Caller {
        let origin = format!("http://{}", self.address).parse().expect("an origin");
        Caller::new(origin, None).expect("no TLS")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
