//! `nettlp-adapter` as a program: what it prints, how it stops, what it says when it cannot start.

// In a test, a panic is the report.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A command for the program, with its output kept.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nettlp-adapter"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &id]).status();
    assert!(sent.unwrap().success());
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn it_says_ready_answers_counts_and_stops() {
    let run = std::process::id() % 250;
    let (listen, local) = (format!("127.45.{run}.1"), format!("127.45.{run}.2"));
    let image = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(image.path(), [0xa5; 0x2000]).unwrap();
    let path = image.path().to_str().unwrap();
    let mut child = program(&["--listen", &listen, "--image", path])
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");

    let socket = UdpSocket::bind((local.as_str(), 0x3000)).unwrap();
    socket.connect((listen.as_str(), 0x3000)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    // A read of four bytes at 0x1000, by 1b:00.0 with tag 0.
    let mut request = vec![0; 6];
    request.extend([0, 0, 0, 1, 0x1b, 0, 0, 0x0f, 0, 0, 0x10, 0]);
    socket.send(&request).unwrap();
    let mut answer = [0; 64];
    assert_eq!(socket.recv(&mut answer).unwrap(), 22);
    assert_eq!(answer[18..22], [0xa5; 4]);

    let mut errors = BufReader::new(child.stderr.take().unwrap());
    signal(&child, "USR1");
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "1 read requests that were answered with data");
    signal(&child, "TERM");
    assert!(child.wait().unwrap().success());
    let mut rest = String::new();
    errors.read_to_string(&mut rest).unwrap();
    assert_eq!(rest.matches("answered with data").count(), 1);
}

#[test]
fn what_keeps_it_from_starting_is_said() {
    let output = program(&["--image", "/nowhere/ram"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).starts_with("nettlp-adapter: error: cannot use `/nowhere/ram`\n"));

    let output = program(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("--image <FILE>|--replay <FILE>|--demo"));

    let image = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(image.path(), [0; 0x1000]).unwrap();
    let path = image.path().to_str().unwrap();
    let taken = format!("127.45.{}.9", std::process::id() % 250);
    let _holder = UdpSocket::bind((taken.as_str(), 0x3005)).unwrap();
    let output = program(&["--listen", &taken, "--image", path])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output);
    assert!(
        said.contains(&format!("cannot listen on {taken}:12293")),
        "{said}"
    );
    assert!(said.contains("another loopback address"), "{said}");
}
