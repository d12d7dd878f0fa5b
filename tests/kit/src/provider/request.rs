//! Reads requests off a connection: head, then a body by length or in chunks.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use crate::{
    call::{Call, Ending},
    http::find,
};

/// No client of ours sends a longer head.
const LONGEST_HEAD: usize = 1 << 20;

/// Reads the next request; `None` if the client has closed the connection between two.
pub(super) async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Call>> {
    let Some(head) = read_head(stream, buffer).await? else { return Ok(None) };
    let mut lines = head.split("\r\n");
    let mut request_line = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target)) = (request_line.next(), request_line.next()) else {
        return Err(malformed("the request line has no target"));
    };
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut call = Call {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: Vec::new(),
        arrived: Instant::now(),
        ending: Ending::Running,
    };
    call.body = read_body(stream, buffer, &call).await?;
    call.arrived = Instant::now();
    Ok(Some(call))
}

async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<String>> {
    loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            let head = take(buffer, end);
            take(buffer, 4);
            return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
        }
        if buffer.len() > LONGEST_HEAD {
            return Err(malformed("the head does not end"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return if buffer.is_empty() { Ok(None) } else { Err(malformed("the head was cut")) };
        }
    }
}

async fn read_body(stream: &mut TcpStream, buffer: &mut Vec<u8>, call: &Call) -> io::Result<Vec<u8>> {
    if call.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    if call.header("transfer-encoding").is_some_and(|value| value.to_ascii_lowercase().contains("chunked")) {
        return read_chunks(stream, buffer).await;
    }
    let length = call.header("content-length").map_or(Ok(0), str::parse);
    let length: usize = length.map_err(|_| malformed("the content length is no number"))?;
    read_exactly(stream, buffer, length).await
}

async fn read_chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream, buffer).await?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| malformed("a chunk size is no number"))?;
        if size == 0 {
            break;
        }
        body.extend(read_exactly(stream, buffer, size).await?);
        read_line(stream, buffer).await?;
    }
    // Trailers, if any, end with an empty line.
    while !read_line(stream, buffer).await?.is_empty() {}
    Ok(body)
}

async fn read_line(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<String> {
    loop {
        if let Some(end) = find(buffer, b"\r\n") {
            let line = take(buffer, end);
            take(buffer, 2);
            return Ok(String::from_utf8_lossy(&line).into_owned());
        }
        fill(stream, buffer).await?;
    }
}

async fn read_exactly(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> io::Result<Vec<u8>> {
    while buffer.len() < length {
        fill(stream, buffer).await?;
    }
    Ok(take(buffer, length))
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    match stream.read_buf(buffer).await? {
        0 => Err(malformed("the body was cut")),
        _ => Ok(()),
    }
}

fn take(buffer: &mut Vec<u8>, length: usize) -> Vec<u8> {
    let rest = buffer.split_off(length.min(buffer.len()));
    std::mem::replace(buffer, rest)
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
