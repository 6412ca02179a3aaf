//! Single frames on a stream.
//!
//! **Invariants:** a payload is as large as its header said and no larger, so whoever keeps it keeps
//! nothing else: a view into a shared buffer would keep all of that.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::wire::WireError;
use crate::wire::frame::{HEADER_BYTES, Header, Kind};

pub(super) type Read = Result<(Header, Bytes), WireError>;

pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Read> {
    let mut head = [0; HEADER_BYTES];
    stream.read_exact(&mut head).await?;
    let header = match Header::decode(&head) {
        Ok(header) => header,
        Err(error) => return Ok(Err(error)),
    };
    let mut payload = vec![0; header.payload_bytes];
    stream.read_exact(&mut payload).await?;
    Ok(Ok((header, payload.into())))
}

pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    map_version: u64,
    payload: &[u8],
) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(HEADER_BYTES.saturating_add(payload.len()));
    Header { kind: Kind::Data, map_version, payload_bytes: payload.len() }.encode(&mut buffer);
    buffer.extend_from_slice(payload);
    stream.write_all(&buffer).await?;
    stream.flush().await
}
