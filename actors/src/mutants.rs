//! Bugs planted on purpose in what a shop is made of, to prove that the simulator finds such bugs. None of
//! them exists in a build without the feature `mutants`; with it, one is chosen at run time, per thread.
//!
//! **Invariants:** nothing planted, nothing changed.

macro_rules! mutants {
    ($($(#[$doc:meta])* $mutant:ident),* $(,)?) => {
        /// What is done wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[$doc])* $mutant,)*
        }

        impl Mutant {
            /// Every bug there is.
            pub const ALL: &'static [Self] = &[$(Self::$mutant),*];
        }
    };
}

mutants! {
    /// A reservation is granted whether or not there is stock for it.
    Oversold,
    /// What a reservation held is not available again when it has expired.
    ExpiryKeepsStock,
    /// A cart does not know whose lines it took.
    LinesTakenTwice,
    /// What was released, expired or sold is reserved again by a reserve that comes late.
    LateReserve,
    /// More pieces are promised than the limit allows.
    BackorderedPastLimit,
    /// Pieces that have come are given to an order that waits, which waits for them still.
    ArrivalCountedTwice,
    /// An order that was let go of is still given pieces that it was promised.
    PromiseOutlivesOrder,
    /// What is still on backorder is shipped.
    BackorderShipped,
    /// Pieces on backorder that are called off are in stock, where they never were.
    BackorderRestocked,
    /// A cart that is being checked out is checked out again, as another order.
    TwoOrdersOfOneCart,
    /// A cart that was bought is open again.
    BoughtCartReopened,
    /// A cart whose order came to nothing is not told.
    CartNotReopened,
    /// An order tells its cart once how it ended, whoever asks again.
    EndToldOnce,
    /// Two orders of a slot have one number.
    NumberGivenTwice,
    /// Stocks keep what they reserved for an order whose payment is declined.
    StockNotReleased,
    /// Pieces that left a stock for an order are released, where nothing is reserved any more.
    ReleasedAfterSale,
    /// A stock that reserves after the order has let go of it is believed.
    LateNewsTaken,
    /// Lines that were dropped are paid all the same.
    DroppedLinesPaid,
    /// An order is confirmed when the money is held, whether or not it is taken.
    ConfirmedUnpaid,
    /// An order waits for its payment for ever.
    PaymentTimerLost,
    /// An order whose payment could not be undone does not try again.
    UndoneOnce,
    /// What was told of the end of a checkout is told otherwise once the order is cancelled.
    EndToldOtherwise,
    /// More is shipped than was bought.
    ShippedTooMuch,
    /// What is paid with the first shipment is shipped unpaid.
    ShippedUnpaid,
    /// A return that is received again is in stock again.
    ReturnReceivedTwice,
    /// Refunds that are under way or done count for nothing.
    RefundedTooMuch,
    /// Pieces that were called off are not in stock again.
    CancelledPiecesLost,
    /// What nobody decides about is held for ever.
    HeldForEver,
    /// A parcel is wherever its carrier said last.
    ParcelGoesBack,
    /// What was captured for pieces that were called off is kept.
    CreditForgotten,
    /// Two orders of a list have one place.
    PlaceGivenTwice,
    /// A list shows an order as it was when it was placed.
    ListNotTold,
    /// A seller is told of an order when it is confirmed, and of nothing after it.
    SellerNotTold,
    /// A seller's sums keep what an order was before.
    SellerCountedTwice,
    /// A capture that is done is asked for again.
    CapturedTwice,
    /// An answer or a notice is taken for whatever is under way.
    AnswerOfAnother,
    /// A payment in doubt that is cancelled is taken for declined.
    DoubtIsDecline,
    /// A cancelled payment keeps what it captured.
    CancelKeepsMoney,
    /// A discount code that is used for an order stays held for it besides.
    CodeCountedTwice,
    /// A discount code stays held for an order that came to nothing.
    CodeKeptAfterFailure,
    /// A discount code is used however often it was used before.
    CodeLimitIgnored,
    /// What an order holds of a gift card may be held by another besides.
    GiftCardOverdrawn,
    /// What an order spent of a gift card stays held for it besides.
    GiftCardStaysHeld,
    /// A gift card pays and has the money still.
    GiftCardSpentForNothing,
    /// A gift card stays held for an order that came to nothing.
    GiftCardKeptAfterFailure,
    /// The payment is asked for what gift cards pay.
    GiftCardPaidBesides,
    /// Pieces that were called off are called off again.
    CalledOffTwice,
    /// What went to a voucher is refunded once more.
    VoucherRefundedTwice,
    /// A card that somebody else issued is taken for an order's voucher.
    VoucherOfAnother,
    /// What gift cards had paid of a voucher that could not be issued is lost.
    RefusedVoucherKept,
    /// The gift cards of a cart do not pay its order.
    CartCardForgotten,
}

impl Mutant {
    #[cfg(feature = "mutants")]
    pub(crate) fn is_planted(self) -> bool {
        PLANTED.with(|planted| planted.get() == Some(self))
    }

    #[cfg(not(feature = "mutants"))]
    #[inline]
    pub(crate) const fn is_planted(self) -> bool {
        false
    }
}

#[cfg(feature = "mutants")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug for whatever this thread runs from here on, or takes it away.
#[cfg(feature = "mutants")]
pub fn plant(mutant: Option<Mutant>) {
    PLANTED.with(|planted| planted.set(mutant));
}
