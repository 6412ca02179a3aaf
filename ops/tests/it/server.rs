//! The real binary as a child process: started, watched, asked to stop, killed.
//!
//! **Invariants:** a test waits for a line, an answer or an end, with a deadline, and never for time
//! to pass; what a test starts ends with it.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use storage::clock;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_omnicart");
pub(crate) const TOKEN: &str = "operator-token-of-these-tests-0123456789";
/// Generous: the machine may be busy with other tests.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// How a server is started.
#[derive(Clone)]
pub(crate) struct Setup {
    program: PathBuf,
    folder: PathBuf,
    arguments: Vec<String>,
    /// A program that runs the server, such as a tracer.
    wrapper: Vec<String>,
    token: Option<&'static str>,
}

impl Setup {
    /// The demo shop, small, on a port of its own.
    pub(crate) fn demo(folder: &Path) -> Self {
        Self::plain(folder).with(&["--demo"])
    }

    pub(crate) fn plain(folder: &Path) -> Self {
        let fixed = "--listen 127.0.0.1:0 --log-format json --segment-size 4MiB --shards 4 \
                     --entity-memory 64MiB --index-cache 1MiB --cart-creation-rate 0";
        let arguments = fixed.split_whitespace().map(str::to_owned).collect();
        Self {
            program: BINARY.into(),
            folder: folder.to_owned(),
            arguments,
            wrapper: Vec::new(),
            token: Some(TOKEN),
        }
    }

    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// As a program that can do more than this one.
    pub(crate) fn of_next_version(mut self) -> Self {
        self.program = next_version().expect("it was built");
        self
    }

    pub(crate) fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|part| (*part).to_owned()).collect();
        self
    }

    pub(crate) fn without_token(mut self) -> Self {
        self.token = None;
        self
    }

    fn command(&self) -> Command {
        let program = self.program.to_str().expect("a readable path");
        let mut words = self.wrapper.iter().map(String::as_str).chain([program]);
        let mut command = clean(words.next().expect("a program"));
        command.args(words).arg("serve").arg("--data").arg(&self.folder).args(&self.arguments);
        if let Some(token) = self.token {
            command.env("OMNICART_OPERATOR_TOKEN", token);
        }
        command
    }

    /// Runs a server that is expected to end by itself.
    pub(crate) fn fails(&self) -> Failed {
        let mut child =
            self.command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let stderr = child.stderr.take().expect("a pipe");
        let lines = std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).collect::<Vec<_>>()
        });
        let status = ended(&mut child, "a server that should refuse to start");
        let lines = lines.join().expect("the reader ends");
        Failed { code: status.code(), last: lines.last().cloned().unwrap_or_default() }
    }
}

/// How a server refused to start.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) code: Option<i32>,
    last: String,
}

impl Failed {
    /// The last line: of a log in JSON its message, else the line.
    pub(crate) fn message(&self) -> String {
        let line: Option<Value> = serde_json::from_str(&self.last).ok();
        let message = line.as_ref().and_then(|line| line["message"].as_str());
        message.unwrap_or(&self.last).to_owned()
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Everything it logged so far.
    log: Arc<Mutex<Vec<String>>>,
    /// Ends with what it logs; whoever started it without listening has none.
    reader: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server and waits until it is ready.
    pub(crate) fn start(setup: &Setup) -> Self {
        Self::until(setup, "ready")
    }

    /// Starts a server and waits until it answers, ready or not.
    pub(crate) fn launch(setup: &Setup) -> Self {
        Self::until(setup, "starting")
    }

    /// Starts a server and waits until it logs a message that has its address.
    fn until(setup: &Setup, message: &'static str) -> Self {
        let mut child = setup
            .command()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stderr = child.stderr.take().expect("a pipe");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (ready_tx, ready_rx) = channel();
        let lines = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(address) = address_beside(message, &line) {
                    ready_tx.send(address).ok();
                }
                lines.lock().expect("no panic").push(line);
            }
        });
        let address = ready(&mut child, &ready_rx, &log);
        Self { child, address, log, reader: Some(reader) }
    }

    /// Starts a server that will not get ready.
    pub(crate) fn start_without_waiting(setup: &Setup) -> Self {
        let quiet = || Stdio::null();
        let child = setup.command().stdout(quiet()).stderr(quiet()).spawn().expect("it starts");
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { child, address, log: Arc::default(), reader: None }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no panic").join("\n")
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Asks it to stop, without waiting.
    pub(crate) fn ask_to_stop(&self) {
        self.signal("TERM");
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.ask_to_stop();
        self.wait()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = ended(&mut self.child, "the server");
        // Its last words may still be on their way.
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader ends");
        }
        status
    }

    /// `kill -9`
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("a child");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            println!("--- log of the server\n{}", self.log());
        }
    }
}

fn ready(child: &mut Child, ready: &Receiver<SocketAddr>, log: &Mutex<Vec<String>>) -> SocketAddr {
    match ready.recv_timeout(DEADLINE) {
        Ok(address) => address,
        Err(error) => {
            let why = match error {
                RecvTimeoutError::Timeout => "is not ready in time",
                RecvTimeoutError::Disconnected => "ended before it was ready",
            };
            child.kill().ok();
            child.wait().ok();
            panic!("the server {why}:\n{}", log.lock().expect("no panic").join("\n"));
        }
    }
}

fn address_beside(message: &str, line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == message).then(|| line["http.address"].as_str()?.parse().ok())?
}

pub(crate) fn ended(child: &mut Child, what: &str) -> ExitStatus {
    let end = deadline();
    while clock::monotonic() < end {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().ok();
    child.wait().ok();
    panic!("{what} did not end in time");
}

pub(crate) fn deadline() -> Instant {
    clock::monotonic() + DEADLINE
}

/// A command without the settings of whoever runs the tests.
pub(crate) fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OMNICART_")) {
        command.env_remove(name);
    }
    command
}

/// Runs one of the operator's commands on a running cluster, with a token if one is given.
pub(crate) fn cluster(token: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = clean(BINARY);
    if let Some(token) = token {
        command.env("OMNICART_OPERATOR_TOKEN", token);
    }
    command.arg("cluster").args(arguments).output().expect("it runs")
}

pub(crate) fn signal(process: u32, name: &str) {
    let script = format!("kill -{name} {process}");
    let sent = Command::new("sh").args(["-c", &script]).status().expect("sh runs");
    assert!(sent.success());
}

/// Runs one of the operator's commands to its end.
pub(crate) fn omnicart(arguments: &[&str]) -> Output {
    clean(BINARY).args(arguments).output().expect("it runs")
}

/// The stand-in for the next version, which is built with the tests; a test that is built alone does
/// without.
pub(crate) fn next_version() -> Option<PathBuf> {
    let program = Path::new(BINARY).parent()?.join("examples/next_version");
    available("the example `next_version`", program.is_file()).then_some(program)
}

/// Whether a test that needs a tool of the machine may run; in CI it must.
pub(crate) fn available(what: &str, is_there: bool) -> bool {
    if !is_there {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs {what}");
        // Not `println`, which the test harness keeps to itself when a test passes.
        writeln!(std::io::stderr(), "skipped: this test needs {what}").ok();
    }
    is_there
}
