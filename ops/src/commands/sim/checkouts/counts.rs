//! What came about in simulated checkouts: one in which nothing happened proves nothing.

macro_rules! counts {
    ($($(#[$doc:meta])* $count:ident as $name:literal),* $(,)?) => {
        /// How often each thing happened that checkouts are simulated for.
        #[derive(Clone, Copy, Debug, Default)]
        pub(in super::super) struct Counts {
            $($(#[$doc])* pub(super) $count: u64,)*
        }

        impl Counts {
            /// Every count under its name.
            pub(in super::super) fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$(($name, self.$count)),*].into_iter()
            }

            pub(super) fn plus(self, other: Self) -> Self {
                Self { $($count: self.$count + other.$count),* }
            }
        }
    };
}

counts! {
    /// Requests that were answered again under their key.
    repeats as "orders_repeats",
    /// Writes whose outcome no client knows.
    unknown as "orders_unknown",
    confirmed as "orders_confirmed",
    /// Of which less was bought than asked for.
    shortened as "orders_shortened",
    out_of_stock as "orders_out_of_stock",
    /// Whose discount code was used as often as it may be.
    code_refused as "orders_code_refused",
    code_used as "orders_code_used",
    /// That brought a gift card with nothing left, or that nobody had issued.
    card_refused as "orders_card_refused",
    card_paid as "orders_card_paid",
    /// Gift cards that got some of it back while the order went on.
    card_given_back as "orders_card_given_back",
    /// With a card that the cart was given.
    paid_by_cart as "orders_paid_by_cart",
    /// Cards that paid nothing and were taken away from their carts.
    card_taken_away as "orders_card_taken_away",
    /// With a card that an order had become.
    paid_by_voucher as "orders_paid_by_voucher",
    /// With cards alone, of those that nobody else was to pay.
    paid_without as "orders_paid_without",
    /// Of which cards left something that nobody was to pay.
    payment_required as "orders_payment_required",
    stock_silent as "orders_stock_silent",
    declined as "orders_declined",
    payment_silent as "orders_payment_silent",
    capture_failed as "orders_capture_failed",
    cancelled_in_time as "orders_cancelled_in_time",
    cancelled as "orders_cancelled",
    /// Lines that still wait for pieces in the end.
    waiting as "orders_waiting",
    /// Times that pieces came for a line that waited.
    arrivals as "orders_arrivals",
    shipments as "orders_shipments",
    /// Orders that were shipped in part and called off for the rest.
    called_off as "orders_called_off",
    /// Times that some pieces were called off, and the others were not.
    pieces_called_off as "orders_pieces_called_off",
    parcels as "orders_parcels",
    parcels_moved as "orders_parcels_moved",
    parcels_refused as "orders_parcels_refused",
    /// Held, and bought once somebody had looked at them.
    approved as "orders_approved",
    held_for_nothing as "orders_held_for_nothing",
    denied as "orders_denied",
    returns as "orders_returns",
    refunds as "orders_refunds",
    refunds_failed as "orders_refunds_failed",
    /// Refunds that became gift cards, those of them that other cards had paid, and those whose card
    /// there was already.
    vouchers as "orders_vouchers",
    vouchers_of_cards as "orders_vouchers_of_cards",
    vouchers_refused as "orders_vouchers_refused",
    /// Carts that were checked out again after an order came to nothing.
    second_tries as "orders_second_tries",
    /// Operations whose first attempt had no answer.
    provider_doubts as "orders_provider_doubts",
    /// Notices that came before any answer.
    notices_first as "orders_notices_first",
}
