//! Reading a request's body into one piece.
//!
//! **Invariants:** never more than [`BODY_BYTES_MAX`] are held, however small the pieces they come
//! in: a piece of one byte may keep a whole read buffer alive, so pieces are copied and let go.

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::code::Code;
use super::error::ApiError;

pub(in crate::http) const BODY_BYTES_MAX: usize = 64 * 1024;

pub(super) async fn read(mut body: Body) -> Result<Bytes, ApiError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::new(Code::INVALID_JSON, "the body broke off"))?;
        // Trailers say nothing here.
        let Ok(piece) = frame.into_data() else { continue };
        if whole.len().saturating_add(piece.len()) > BODY_BYTES_MAX {
            return Err(too_large());
        }
        // Most bodies come in one piece, which needs no copy.
        if whole.is_empty() && body.is_end_stream() {
            return Ok(piece);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

pub(super) fn too_large() -> ApiError {
    ApiError::new(Code::BODY_TOO_LARGE, "a body is at most 65536 bytes")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};

    use http_body_util::{Full, combinators};

    use super::*;

    /// A body in pieces of one byte, which counts those that are still held.
    struct Drip {
        n_left: usize,
        held: Arc<()>,
    }

    struct Piece(#[expect(dead_code, reason = "only counts")] Arc<()>);

    impl AsRef<[u8]> for Piece {
        fn as_ref(&self) -> &[u8] {
            b"x"
        }
    }

    impl HttpBody for Drip {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<<combinators::Frame<'static, Full<Bytes>> as Future>::Output> {
            let n_held = Arc::strong_count(&self.held) - 1;
            assert!(n_held <= 1, "{n_held} pieces are held");
            let Some(n_left) = self.n_left.checked_sub(1) else { return Poll::Ready(None) };
            self.n_left = n_left;
            let piece = Bytes::from_owner(Piece(Arc::clone(&self.held)));
            Pin::new(&mut Full::new(piece)).poll_frame(context)
        }
    }

    async fn read_drops(n_left: usize) -> Result<Bytes, Code> {
        let body = Body::new(Drip { n_left, held: Arc::default() });
        read(body).await.map_err(|error| error.code())
    }

    #[tokio::test]
    async fn pieces_are_let_go_as_they_come() {
        assert_eq!(read_drops(0).await.unwrap(), b""[..]);
        assert_eq!(read_drops(3).await.unwrap(), b"xxx"[..]);
        assert_eq!(read_drops(BODY_BYTES_MAX).await.unwrap().len(), BODY_BYTES_MAX);
        assert_eq!(read_drops(BODY_BYTES_MAX + 1).await.unwrap_err(), Code::BODY_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_body_in_one_piece_is_not_copied() {
        let bytes = Bytes::from_static(b"whole");
        let read = read(Body::from(bytes.clone())).await.unwrap();
        assert_eq!(read.as_ptr(), bytes.as_ptr());
    }
}
