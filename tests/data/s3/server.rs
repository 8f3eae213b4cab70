//! The S3 server: one for all tests of a process. It ends with the process, because its standard input does.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;

/// How often the server is started before that counts as a failure.
const TRIES: usize = 3;

/// What a client needs to know.
#[derive(Deserialize)]
pub(super) struct Server {
    pub(super) endpoint: String,
    pub(super) region: String,
    pub(super) bucket: String,
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    #[serde(skip)]
    _process: Option<Child>,
}

/// The server; `None`, with the reason printed, if this machine cannot start one.
pub(super) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(start).as_ref()
}

/// The Python that has the packages of `tests/requirements.txt`.
pub(super) fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = std::env::var_os("UNGLUE_TEST_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    python.exists().then_some(python)
}

pub(super) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/s3")
}

fn start() -> Option<Server> {
    let Some(python) = python() else {
        eprintln!(
            "SKIPPED: no S3 server, because there is no .venv/bin/python and no UNGLUE_TEST_PYTHON; `make test` makes it"
        );
        return None;
    };
    // A port that was free may be taken by the time that the server wants it.
    for _ in 0..TRIES {
        let mut process = Command::new(&python)
            .arg(scripts().join("serve.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if let Ok(mut server) = serde_json::from_str::<Server>(&line) {
            server._process = Some(process);
            return Some(server);
        }
        process.wait().unwrap();
    }
    panic!("the S3 server did not start; its messages are above");
}
