//! Faults of a link, made on purpose: what a chaos test does to one peer without touching others.
//!
//! A cut acts as a cut cable: bytes wait where they are until it is mended or one side gives the
//! connection up, and no new connection comes to be. Loss touches the raft lane alone, because the
//! others are promised to be without gaps.
//!
//! **Invariants:** no fault makes a lane with credit lose or reorder a frame.

use std::time::Duration;

use tokio::sync::watch;

/// What is wrong with the link to one peer; nothing, by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkFault {
    /// Nothing leaves for the peer.
    pub cut_out: bool,
    /// Nothing of the peer arrives.
    pub cut_in: bool,
    /// Every write waits this long.
    pub delay: Duration,
    /// Of a thousand raft frames, so many are lost on their way out.
    pub loss_per_mille: u16,
}

/// One side's view of a peer's fault.
#[derive(Clone)]
pub(super) struct FaultGate(watch::Receiver<LinkFault>);

impl FaultGate {
    pub(super) fn new(faults: &watch::Sender<LinkFault>) -> Self {
        Self(faults.subscribe())
    }

    pub(super) async fn out(&mut self) {
        let delay = self.passed(|fault| !fault.cut_out).await;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    pub(super) async fn arrival(&mut self) {
        self.passed(|fault| !fault.cut_in).await;
    }

    /// A handshake goes both ways.
    pub(super) async fn handshake(&mut self) {
        self.passed(|fault| !fault.cut_in && !fault.cut_out).await;
    }

    /// Waits until the fault lets pass. A peer that is gone has no faults.
    async fn passed(&mut self, passes: impl FnMut(&LinkFault) -> bool) -> Duration {
        self.0.wait_for(passes).await.map_or(Duration::ZERO, |fault| fault.delay)
    }
}
