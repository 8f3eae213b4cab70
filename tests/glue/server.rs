//! The Glue catalog of the tests: moto behind the strict proxy, one for each test. It ends with the test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use aws_sdk_glue::config::{Credentials, Region};
use aws_sdk_glue::types::DatabaseInput;
use handlers::glue::{GlueCatalog, client};
use serde::Deserialize;
use serde_json::{Value, json};

/// Not the width of a page, nor of a batch.
const PAGE: &str = "70";

#[derive(Deserialize)]
struct Ready {
    glue: String,
    region: String,
    access_key_id: String,
    secret_access_key: String,
}

/// A Glue catalog with one database, `shop`.
pub(crate) struct Glue {
    pub(crate) client: aws_sdk_glue::Client,
    address: String,
    _process: Process,
}

struct Process(Child);

impl Drop for Process {
    /// The servers end when their standard input does.
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A catalog; `None`, with the reason printed, if this machine has no moto.
pub(crate) async fn glue() -> Option<Glue> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/aws/servers.py");
    let Some(python) = std::env::var_os("UNGLUE_TEST_MOTO").filter(|_| script.exists()) else {
        eprintln!(
            "SKIPPED: no Glue catalog, because UNGLUE_TEST_MOTO names no Python with moto; `make test` makes one"
        );
        return None;
    };
    let mut process = Command::new(&python)
        .arg(script)
        .arg("--moto")
        .arg(&python)
        .args(["--page", PAGE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let process = Process(process);
    let ready: Ready = serde_json::from_str(&line).expect("the servers start; what they say is above");

    let credentials = Credentials::new(ready.access_key_id, ready.secret_access_key, None, None, "tests");
    let config = aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
        .http_client(handlers::http::http_client())
        .region(Region::new(ready.region))
        .credentials_provider(aws_sdk_glue::config::SharedCredentialsProvider::new(credentials))
        .endpoint_url(&ready.glue)
        .build();
    let client = client(&config);
    let input = DatabaseInput::builder().name("shop").build().unwrap();
    client.create_database().database_input(input).send().await.unwrap();
    let address = ready.glue.trim_start_matches("http://").to_owned();
    Some(Glue { client, address, _process: process })
}

impl Glue {
    pub(crate) fn catalog(&self) -> GlueCatalog {
        GlueCatalog::new(self.client.clone())
    }

    /// Has the next calls of an operation fail, by the fields that `glue_proxy.py` describes.
    pub(crate) fn fail(&self, operation: &str, failure: Value) {
        self.exchange("POST", "/_control", &json!({ "fail": { operation: failure } }).to_string());
    }

    /// How many calls of an operation there were.
    pub(crate) fn calls(&self, operation: &str) -> u64 {
        self.all_calls().get(operation).copied().unwrap_or_default()
    }

    /// The same of all operations.
    pub(crate) fn all_calls(&self) -> BTreeMap<String, u64> {
        serde_json::from_str(&self.exchange("GET", "/_control/requests", "")).unwrap()
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, content) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.split(' ').nth(1) == Some("200"), "{answer}");
        content.to_owned()
    }
}
