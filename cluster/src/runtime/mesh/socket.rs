//! What every connection of the mesh asks of the operating system.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Sends at once, and gives up a peer that acknowledges nothing for `silence`.
pub(super) fn tune(stream: &TcpStream, silence: Duration) -> io::Result<()> {
    const PROBES: u32 = 3;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    // The kernel counts keepalive in whole seconds.
    let every = Duration::from_secs((silence.as_secs() / u64::from(PROBES)).max(1));
    let keepalive = TcpKeepalive::new().with_time(every).with_interval(every).with_retries(PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(silence))
}
