//! What came about in simulated shops: one in which nothing happened proves nothing.

/// How often each thing happened that the shop is simulated for.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Counts {
    /// Requests that were answered again under their key.
    pub(super) repeats: u64,
    /// Writes whose outcome no client knows.
    pub(super) unknown: u64,
    pub(super) merged: u64,
    pub(super) merges_refused: u64,
    pub(super) sold_out: u64,
    pub(super) sold: u64,
    pub(super) released: u64,
    pub(super) expired: u64,
}

impl Counts {
    /// Every count under its name.
    pub(in super::super) fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("shop_repeats", self.repeats),
            ("shop_unknown", self.unknown),
            ("shop_carts_merged", self.merged),
            ("shop_merges_refused", self.merges_refused),
            ("shop_sold_out", self.sold_out),
            ("shop_reservations_sold", self.sold),
            ("shop_reservations_released", self.released),
            ("shop_reservations_expired", self.expired),
        ]
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            repeats: self.repeats + other.repeats,
            unknown: self.unknown + other.unknown,
            merged: self.merged + other.merged,
            merges_refused: self.merges_refused + other.merges_refused,
            sold_out: self.sold_out + other.sold_out,
            sold: self.sold + other.sold,
            released: self.released + other.released,
            expired: self.expired + other.expired,
        }
    }
}
