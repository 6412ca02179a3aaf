//! The stable codes of errors: part of the contract, so a code is never renamed.

use axum::http::StatusCode;

/// What went wrong, as programs see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) name: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) retry: Retry,
}

/// Whether the same request, unchanged, may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    Never,
    Later,
}

use Retry::{Later, Never};

const fn code(name: &'static str, status: StatusCode, title: &'static str, retry: Retry) -> Code {
    Code { name, status, title, retry }
}

type Status = StatusCode;

/// About the request itself.
impl Code {
    pub(crate) const BODY_TOO_LARGE: Self =
        code("body_too_large", Status::PAYLOAD_TOO_LARGE, "The body is too large", Never);
    pub(crate) const CARD_NUMBER_REFUSED: Self = code(
        "card_number_refused",
        Status::UNPROCESSABLE_ENTITY,
        "Card numbers are not accepted",
        Never,
    );
    pub(crate) const IDEMPOTENCY_CONFLICT: Self = code(
        "idempotency_conflict",
        Status::UNPROCESSABLE_ENTITY,
        "The idempotency key was used for another request",
        Never,
    );
    pub(crate) const IDEMPOTENCY_KEY_INVALID: Self = code(
        "idempotency_key_invalid",
        Status::BAD_REQUEST,
        "The idempotency key is malformed",
        Never,
    );
    pub(crate) const IDEMPOTENCY_KEY_REQUIRED: Self = code(
        "idempotency_key_required",
        Status::BAD_REQUEST,
        "An idempotency key is required",
        Never,
    );
    pub(crate) const IDEMPOTENCY_KEY_TOO_SHORT: Self = code(
        "idempotency_key_too_short",
        Status::BAD_REQUEST,
        "The idempotency key is too short",
        Never,
    );
    pub(crate) const IDEMPOTENCY_KEYS_EXHAUSTED: Self = code(
        "idempotency_keys_exhausted",
        Status::TOO_MANY_REQUESTS,
        "Too many idempotency keys on one resource",
        Later,
    );
    pub(crate) const IDEMPOTENCY_REPLY_EXPIRED: Self = code(
        "idempotency_reply_expired",
        Status::CONFLICT,
        "The request took effect; its answer is not kept any more",
        Never,
    );
    pub(crate) const IF_MATCH_INVALID: Self =
        code("if_match_invalid", Status::BAD_REQUEST, "If-Match is malformed", Never);
    pub(crate) const IF_MATCH_UNSUPPORTED: Self =
        code("if_match_unsupported", Status::BAD_REQUEST, "If-Match cannot be honoured", Never);
    pub(crate) const IF_NONE_MATCH_INVALID: Self = code(
        "if_none_match_invalid",
        Status::BAD_REQUEST,
        "If-None-Match cannot be honoured",
        Never,
    );
    pub(crate) const INVALID_JSON: Self =
        code("invalid_json", Status::BAD_REQUEST, "The body is not valid JSON", Never);
    pub(crate) const METHOD_NOT_ALLOWED: Self =
        code("method_not_allowed", Status::METHOD_NOT_ALLOWED, "Method not allowed", Never);
    pub(crate) const MIN_SEQ_INVALID: Self =
        code("min_seq_invalid", Status::BAD_REQUEST, "Omni-Min-Seq is malformed", Never);
    pub(crate) const NOT_FOUND: Self =
        code("not_found", Status::NOT_FOUND, "There is nothing here", Never);
    pub(crate) const PRECONDITION_FAILED: Self = code(
        "precondition_failed",
        Status::PRECONDITION_FAILED,
        "The resource has changed since",
        Never,
    );
    pub(crate) const RATE_LIMITED: Self =
        code("rate_limited", Status::TOO_MANY_REQUESTS, "Too many requests of one client", Later);
    pub(crate) const REQUEST_TIMEOUT: Self =
        code("request_timeout", Status::REQUEST_TIMEOUT, "The body took too long", Later);
    pub(crate) const SEQUENCE_UNKNOWN: Self =
        code("sequence_unknown", Status::PRECONDITION_FAILED, "The position is unknown", Never);
    pub(crate) const UNAUTHORIZED: Self =
        code("unauthorized", Status::UNAUTHORIZED, "A valid credential is required", Never);
    pub(crate) const UNSUPPORTED_MEDIA_TYPE: Self = code(
        "unsupported_media_type",
        Status::UNSUPPORTED_MEDIA_TYPE,
        "The body must be application/json",
        Never,
    );
    pub(crate) const VALIDATION_FAILED: Self =
        code("validation_failed", Status::UNPROCESSABLE_ENTITY, "Some fields are invalid", Never);
}

/// Rules of carts.
impl Code {
    pub(crate) const CART_EXISTS: Self =
        code("cart_exists", Status::CONFLICT, "The cart exists already", Never);
    pub(crate) const CART_MERGED: Self =
        code("cart_merged", Status::GONE, "The cart was merged into another", Never);
    pub(crate) const CART_MERGING: Self =
        code("cart_merging", Status::CONFLICT, "The cart is being merged", Later);
    pub(crate) const CART_NOT_FOUND: Self =
        code("cart_not_found", Status::NOT_FOUND, "There is no such cart", Never);
    pub(crate) const CATALOGUE_STALE: Self =
        code("catalogue_stale", Status::SERVICE_UNAVAILABLE, "Prices may be out of date", Later);
    pub(crate) const CATALOGUE_UNAVAILABLE: Self = code(
        "catalogue_unavailable",
        Status::SERVICE_UNAVAILABLE,
        "Prices are not available",
        Later,
    );
    pub(crate) const CURRENCY_MISMATCH: Self =
        code("currency_mismatch", Status::CONFLICT, "The carts have different currencies", Never);
    pub(crate) const LINE_NOT_FOUND: Self =
        code("line_not_found", Status::NOT_FOUND, "The cart has no such line", Never);
    pub(crate) const MERGE_INTO_ITSELF: Self = code(
        "merge_into_itself",
        Status::UNPROCESSABLE_ENTITY,
        "A cart cannot be merged into itself",
        Never,
    );
    pub(crate) const MERGE_REFUSED: Self =
        code("merge_refused", Status::CONFLICT, "The other cart could not take the lines", Never);
    pub(crate) const QUANTITY_TOO_LARGE: Self =
        code("quantity_too_large", Status::UNPROCESSABLE_ENTITY, "The line is too large", Never);
    pub(crate) const SKU_NOT_FOR_SALE: Self =
        code("sku_not_for_sale", Status::UNPROCESSABLE_ENTITY, "The SKU is not for sale", Never);
    pub(crate) const SKU_NOT_PRICED: Self =
        code("sku_not_priced", Status::UNPROCESSABLE_ENTITY, "The SKU has no price", Never);
    pub(crate) const TOO_MANY_LINES: Self =
        code("too_many_lines", Status::UNPROCESSABLE_ENTITY, "The cart has too many lines", Never);
    pub(crate) const TOO_MANY_STREAMS: Self = code(
        "too_many_streams",
        Status::SERVICE_UNAVAILABLE,
        "This node shows too many carts live",
        Later,
    );
    pub(crate) const TOTAL_TOO_LARGE: Self =
        code("total_too_large", Status::UNPROCESSABLE_ENTITY, "The total is too large", Never);
}

/// Rules of stock.
impl Code {
    pub(crate) const BELOW_RESERVED: Self =
        code("below_reserved", Status::CONFLICT, "Reserved pieces cannot leave the stock", Never);
    pub(crate) const ON_HAND_TOO_LARGE: Self =
        code("on_hand_too_large", Status::UNPROCESSABLE_ENTITY, "The stock is too large", Never);
    pub(crate) const OUT_OF_STOCK: Self =
        code("out_of_stock", Status::CONFLICT, "There is not enough stock", Never);
    pub(crate) const RESERVATION_CONFIRMED: Self =
        code("reservation_confirmed", Status::CONFLICT, "The reservation was confirmed", Never);
    pub(crate) const RESERVATION_DIFFERS: Self =
        code("reservation_differs", Status::CONFLICT, "The reservation is a different one", Never);
    pub(crate) const RESERVATION_EXPIRED: Self =
        code("reservation_expired", Status::CONFLICT, "The reservation has expired", Never);
    pub(crate) const RESERVATION_HELD_BY_ANOTHER: Self = code(
        "reservation_held_by_another",
        Status::CONFLICT,
        "The reservation is held by another",
        Never,
    );
    pub(crate) const RESERVATION_NOT_FOUND: Self =
        code("reservation_not_found", Status::NOT_FOUND, "There is no such reservation", Never);
    pub(crate) const RESERVATION_RELEASED: Self =
        code("reservation_released", Status::CONFLICT, "The reservation was released", Never);
    pub(crate) const SKU_NOT_FOUND: Self =
        code("sku_not_found", Status::NOT_FOUND, "There is no stock of this SKU", Never);
    pub(crate) const STOCK_LOCATION_UNKNOWN: Self = code(
        "stock_location_unknown",
        Status::UNPROCESSABLE_ENTITY,
        "There is no such stock location",
        Never,
    );
    pub(crate) const TOO_FEW_AT_LOCATION: Self =
        code("too_few_at_location", Status::CONFLICT, "There are not so many there", Never);
    pub(crate) const TOO_MANY_LOCATIONS: Self = code(
        "too_many_locations",
        Status::UNPROCESSABLE_ENTITY,
        "The stock lies at too many locations",
        Never,
    );
    pub(crate) const TOO_MANY_RESERVATIONS: Self = code(
        "too_many_reservations",
        Status::TOO_MANY_REQUESTS,
        "Too many reservations are open",
        Later,
    );
}

/// Rules of checkouts and orders.
impl Code {
    pub(crate) const CART_CHECKING_OUT: Self =
        code("cart_checking_out", Status::CONFLICT, "The cart is being checked out", Later);
    pub(crate) const CART_EMPTY: Self =
        code("cart_empty", Status::CONFLICT, "The cart is empty", Never);
    pub(crate) const CART_ORDERED: Self =
        code("cart_ordered", Status::CONFLICT, "The cart has become an order", Never);
    pub(crate) const CHECKOUT_TIMED_OUT: Self =
        code("checkout_timed_out", Status::CONFLICT, "The checkout took too long", Never);
    pub(crate) const IDEMPOTENCY_IN_FLIGHT: Self = code(
        "idempotency_in_flight",
        Status::CONFLICT,
        "The first request is still being carried out",
        Later,
    );
    pub(crate) const NUMBER_DIFFERS: Self =
        code("number_differs", Status::CONFLICT, "Under this number there is another", Never);
    pub(crate) const NUMBER_OUT_OF_ORDER: Self =
        code("number_out_of_order", Status::CONFLICT, "This number is not the next", Never);
    pub(crate) const ORDER_CANCELLED: Self =
        code("order_cancelled", Status::CONFLICT, "The order was cancelled", Never);
    pub(crate) const ORDER_DESTINATION: Self = code(
        "order_destination",
        Status::CONFLICT,
        "The order was priced for another destination",
        Never,
    );
    pub(crate) const ORDER_FULL: Self =
        code("order_full", Status::CONFLICT, "The order cannot have more of these", Never);
    pub(crate) const ORDER_NOT_CONFIRMED: Self =
        code("order_not_confirmed", Status::CONFLICT, "The order is not confirmed", Later);
    pub(crate) const ORDER_NOT_FOUND: Self =
        code("order_not_found", Status::NOT_FOUND, "There is no such order", Never);
    pub(crate) const FRAUD_REVIEW: Self =
        code("fraud_review", Status::CONFLICT, "The order is on hold", Never);
    pub(crate) const ORDER_NOT_ON_HOLD: Self =
        code("order_not_on_hold", Status::CONFLICT, "The order is not on hold", Never);
    pub(crate) const ORDER_REFUSED: Self =
        code("order_refused", Status::CONFLICT, "The order is not taken", Never);
    pub(crate) const ORDER_NOT_PAID: Self =
        code("order_not_paid", Status::CONFLICT, "The order is not paid", Never);
    pub(crate) const ORDER_OVER: Self =
        code("order_over", Status::CONFLICT, "The order came to an end", Never);
    pub(crate) const ORDER_SHIPPED: Self =
        code("order_shipped", Status::CONFLICT, "The order is on its way", Never);
    pub(crate) const PAYMENT_DECLINED: Self =
        code("payment_declined", Status::PAYMENT_REQUIRED, "The payment was declined", Never);
    pub(crate) const PAYMENT_REQUIRED: Self =
        code("payment_required", Status::PAYMENT_REQUIRED, "Something is left to pay", Never);
    pub(crate) const PIECES_ON_BACKORDER: Self =
        code("pieces_on_backorder", Status::CONFLICT, "Pieces are still on backorder", Later);
    pub(crate) const PRICE_CHANGED: Self =
        code("price_changed", Status::CONFLICT, "Prices have changed", Never);
    pub(crate) const EXCHANGE_DIFFERS: Self =
        code("exchange_differs", Status::CONFLICT, "The exchange is a different one", Never);
    pub(crate) const REFUND_DIFFERS: Self =
        code("refund_differs", Status::CONFLICT, "The refund is a different one", Never);
    pub(crate) const REFUND_TOO_LARGE: Self =
        code("refund_too_large", Status::CONFLICT, "More would be refunded than was paid", Never);
    pub(crate) const RETURN_NOT_FOUND: Self =
        code("return_not_found", Status::NOT_FOUND, "There is no such return", Never);
    pub(crate) const SHIPMENT_NOT_FOUND: Self =
        code("shipment_not_found", Status::NOT_FOUND, "There is no such shipment", Never);
    pub(crate) const PROVIDER_UNKNOWN: Self = code(
        "payment_provider_unknown",
        Status::UNPROCESSABLE_ENTITY,
        "There is no such payment provider",
        Never,
    );
    pub(crate) const SHIPMENT_WITH_CARRIER: Self =
        code("shipment_with_carrier", Status::CONFLICT, "The shipment needs no carrier", Never);
    pub(crate) const CARRIER_UNKNOWN: Self = code(
        "carrier_unknown",
        Status::UNPROCESSABLE_ENTITY,
        "The carrier is none that this shop asks",
        Never,
    );
    pub(crate) const SHIPPING_OPTION_REQUIRED: Self = code(
        "shipping_option_required",
        Status::UNPROCESSABLE_ENTITY,
        "A shipping option must be chosen",
        Never,
    );
    pub(crate) const SHIPPING_OPTION_UNFIT: Self = code(
        "shipping_option_unfit",
        Status::UNPROCESSABLE_ENTITY,
        "The shipping option cannot be used for this order",
        Never,
    );
    pub(crate) const TOO_MANY_PIECES: Self =
        code("too_many_pieces", Status::CONFLICT, "There are not so many pieces", Never);
}

/// Rules of payments.
impl Code {
    pub(crate) const CAPTURE_DIFFERS: Self =
        code("capture_differs", Status::CONFLICT, "The capture is a different one", Never);
    pub(crate) const CAPTURE_TOO_LARGE: Self = code(
        "capture_too_large",
        Status::CONFLICT,
        "More would be captured than is authorised",
        Never,
    );
    pub(crate) const NOTICE_NOT_SIGNED: Self = code(
        "notice_not_signed",
        Status::UNAUTHORIZED,
        "The notice is not signed by the provider",
        Never,
    );
    pub(crate) const NOTICE_NOT_VOUCHED: Self = code(
        "notice_not_vouched",
        Status::SERVICE_UNAVAILABLE,
        "The provider does not say whether the notice is its own",
        Later,
    );
    pub(crate) const NOTICE_UNREADABLE: Self =
        code("notice_unreadable", Status::BAD_REQUEST, "The notice cannot be read", Never);
    pub(crate) const PAYMENT_CANCELLED: Self =
        code("payment_cancelled", Status::CONFLICT, "The payment is cancelled", Never);
    pub(crate) const PAYMENT_CAPTURED: Self =
        code("payment_captured", Status::CONFLICT, "The payment is captured already", Never);
    pub(crate) const PAYMENT_NOT_AUTHORISED: Self =
        code("payment_not_authorised", Status::CONFLICT, "The payment is not authorised", Never);
    pub(crate) const PAYMENT_NOT_FOUND: Self =
        code("payment_not_found", Status::NOT_FOUND, "There is no such payment", Never);
    pub(crate) const TOO_MANY_CAPTURES: Self =
        code("too_many_captures", Status::CONFLICT, "The payment has too many captures", Never);
}

/// Rules of the catalogue.
impl Code {
    pub(crate) const ALREADY_EXISTS: Self =
        code("already_exists", Status::CONFLICT, "There is one under this name already", Never);
    pub(crate) const CATEGORY_BELOW_ITSELF: Self = code(
        "category_below_itself",
        Status::CONFLICT,
        "A category cannot lie below itself",
        Never,
    );
    pub(crate) const CATEGORY_NOT_EMPTY: Self =
        code("category_not_empty", Status::CONFLICT, "The category has others below it", Never);
    pub(crate) const CATEGORY_NOT_FOUND: Self =
        code("category_not_found", Status::NOT_FOUND, "There is no such category", Never);
    pub(crate) const PARENT_NOT_FOUND: Self = code(
        "parent_not_found",
        Status::UNPROCESSABLE_ENTITY,
        "There is no such parent category",
        Never,
    );
    pub(crate) const PRECONDITION_REQUIRED: Self = code(
        "precondition_required",
        Status::PRECONDITION_REQUIRED,
        "The change must be bound to a state",
        Never,
    );
    pub(crate) const PRICE_LIST_NOT_FOUND: Self =
        code("price_list_not_found", Status::NOT_FOUND, "There is no such price list", Never);
    pub(crate) const PRODUCT_NOT_FOUND: Self =
        code("product_not_found", Status::NOT_FOUND, "There is no such product", Never);
    pub(crate) const PROMOTION_NOT_FOUND: Self =
        code("promotion_not_found", Status::NOT_FOUND, "There is no such promotion", Never);
    pub(crate) const SELLER_NOT_FOUND: Self =
        code("seller_not_found", Status::NOT_FOUND, "There is no such seller", Never);
    pub(crate) const STOCK_LOCATION_NOT_FOUND: Self = code(
        "stock_location_not_found",
        Status::NOT_FOUND,
        "There is no such stock location",
        Never,
    );
    pub(crate) const SHIPPING_OPTION_NOT_FOUND: Self = code(
        "shipping_option_not_found",
        Status::NOT_FOUND,
        "There is no such shipping option",
        Never,
    );
    pub(crate) const SKU_ON_ANOTHER_PAGE: Self =
        code("sku_on_another_product", Status::CONFLICT, "The SKU is of another product", Never);
    pub(crate) const TOO_MANY_AUTOMATIC: Self = code(
        "too_many_automatic_promotions",
        Status::CONFLICT,
        "Too many promotions need no code",
        Never,
    );
    pub(crate) const TAX_RATE_NOT_FOUND: Self =
        code("tax_rate_not_found", Status::NOT_FOUND, "There is no such tax rate", Never);
}

/// Rules of gift cards.
impl Code {
    pub(crate) const GIFT_CARD_CURRENCY: Self =
        code("gift_card_currency", Status::CONFLICT, "The gift card is in another currency", Never);
    pub(crate) const GIFT_CARD_EXISTS: Self =
        code("gift_card_exists", Status::CONFLICT, "There is a gift card with this code", Never);
    pub(crate) const GIFT_CARD_FULL: Self =
        code("gift_card_full", Status::CONFLICT, "A gift card does not hold that much", Never);
    pub(crate) const GIFT_CARD_NOT_FOUND: Self =
        code("gift_card_not_found", Status::NOT_FOUND, "There is no such gift card", Never);
    pub(crate) const GIFT_CARD_REFUSED: Self =
        code("gift_card_refused", Status::CONFLICT, "A gift card pays nothing of this", Never);
    pub(crate) const GIFT_CARD_TOO_LITTLE: Self = code(
        "gift_card_too_little",
        Status::CONFLICT,
        "There is less on the gift card, or orders hold it",
        Later,
    );
    pub(crate) const TOO_MANY_GIFT_CARDS: Self =
        code("too_many_gift_cards", Status::CONFLICT, "Too many gift cards pay for a cart", Never);
}

/// Rules of discount codes and promotions.
impl Code {
    pub(crate) const DISCOUNT_CODE_EXHAUSTED: Self = code(
        "discount_code_exhausted",
        Status::CONFLICT,
        "The discount code was used as often as it may be",
        Never,
    );
    pub(crate) const DISCOUNT_CODE_NOT_FOUND: Self =
        code("discount_code_not_found", Status::NOT_FOUND, "There is no such code here", Never);
    pub(crate) const DISCOUNT_CODE_NOT_IN_FORCE: Self = code(
        "discount_code_not_in_force",
        Status::UNPROCESSABLE_ENTITY,
        "The discount code is not in force",
        Never,
    );
    pub(crate) const DISCOUNT_CODE_UNKNOWN: Self = code(
        "discount_code_unknown",
        Status::UNPROCESSABLE_ENTITY,
        "There is no such discount code",
        Never,
    );
    pub(crate) const DISCOUNT_CODE_USED: Self = code(
        "discount_code_used",
        Status::CONFLICT,
        "The customer used the discount code as often as one may",
        Never,
    );
    pub(crate) const EMAIL_REQUIRED: Self =
        code("email_required", Status::UNPROCESSABLE_ENTITY, "An e-mail address is needed", Never);
    pub(crate) const FIRST_ORDER_ONLY: Self = code(
        "first_order_only",
        Status::CONFLICT,
        "The cart has a discount that only a first order gets",
        Never,
    );
    pub(crate) const PROMOTION_WITHOUT_CODE: Self = code(
        "promotion_without_code",
        Status::UNPROCESSABLE_ENTITY,
        "There is no such promotion that requires a code",
        Never,
    );
    pub(crate) const TOO_MANY_DISCOUNT_CODES: Self =
        code("too_many_discount_codes", Status::CONFLICT, "The cart has too many codes", Never);
}

/// Rules of imports.
impl Code {
    pub(crate) const CONTENT_RANGE_INVALID: Self = code(
        "content_range_invalid",
        Status::BAD_REQUEST,
        "Content-Range is malformed or does not fit the body",
        Never,
    );
    pub(crate) const IMPORT_EMPTY: Self =
        code("import_empty", Status::UNPROCESSABLE_ENTITY, "The import has no data", Never);
    pub(crate) const IMPORT_ENDED: Self =
        code("import_ended", Status::CONFLICT, "The import has ended", Never);
    pub(crate) const IMPORT_EXISTS: Self =
        code("import_exists", Status::CONFLICT, "The import exists on other terms", Never);
    pub(crate) const IMPORT_NOT_FOUND: Self =
        code("import_not_found", Status::NOT_FOUND, "There is no such import", Never);
    pub(crate) const IMPORT_NOT_RECEIVING: Self =
        code("import_not_receiving", Status::CONFLICT, "The import takes no more data", Never);
    pub(crate) const IMPORT_TOO_LARGE: Self =
        code("import_too_large", Status::PAYLOAD_TOO_LARGE, "The import is too large", Never);
    pub(crate) const OFFSET_MISMATCH: Self = code(
        "offset_mismatch",
        Status::CONFLICT,
        "The data does not begin where the import's ends",
        Never,
    );
}

/// Rules of the cluster.
impl Code {
    pub(crate) const NODE_LOST: Self =
        code("node_lost", Status::CONFLICT, "The node was given up", Never);
    pub(crate) const NODE_MAY_NOT_LEAD: Self =
        code("node_may_not_lead", Status::CONFLICT, "The node is not active", Never);
    pub(crate) const NODE_NOT_FOUND: Self =
        code("node_not_found", Status::NOT_FOUND, "There is no such node", Never);
    pub(crate) const NODE_REMOVED: Self =
        code("node_removed", Status::CONFLICT, "The node was removed", Never);
    pub(crate) const NO_REPLICA: Self =
        code("no_replica", Status::CONFLICT, "The node holds no replica of the shard", Never);
    pub(crate) const NOT_CLUSTERED: Self =
        code("not_clustered", Status::CONFLICT, "The node is alone", Never);
    pub(crate) const SHARD_NOT_FOUND: Self =
        code("shard_not_found", Status::NOT_FOUND, "There is no such shard", Never);
    pub(crate) const SHARD_PINNED: Self =
        code("shard_pinned", Status::CONFLICT, "The shard is pinned to another node", Never);
    pub(crate) const TOO_FEW_NODES: Self =
        code("too_few_nodes", Status::CONFLICT, "Too few nodes would remain", Never);
}

/// About what happened.
impl Code {
    pub(crate) const HISTORY_TOO_LONG: Self = code(
        "history_too_long",
        Status::UNPROCESSABLE_ENTITY,
        "The state is too many changes from the beginning",
        Never,
    );
    pub(crate) const HISTORY_UNREACHABLE: Self = code(
        "history_unreachable",
        Status::SERVICE_UNAVAILABLE,
        "Part of the history is on no node that answers",
        Later,
    );
    pub(crate) const SEQ_NOT_FOUND: Self =
        code("seq_not_found", Status::NOT_FOUND, "It has not come that far", Never);
}

/// About the service.
impl Code {
    pub(crate) const DEADLINE_EXCEEDED: Self =
        code("deadline_exceeded", Status::SERVICE_UNAVAILABLE, "No answer in time", Later);
    pub(crate) const INTERNAL: Self =
        code("internal", Status::INTERNAL_SERVER_ERROR, "Something went wrong", Never);
    pub(crate) const NODE_CUT_OFF: Self =
        code("node_cut_off", Status::SERVICE_UNAVAILABLE, "The node is cut off", Later);
    pub(crate) const NOT_READY: Self =
        code("not_ready", Status::SERVICE_UNAVAILABLE, "The node is not ready", Later);
    pub(crate) const OVERLOADED: Self =
        code("overloaded", Status::SERVICE_UNAVAILABLE, "The service is overloaded", Later);
    pub(crate) const RESOURCE_FULL: Self =
        code("resource_full", Status::CONFLICT, "The resource cannot grow further", Never);
    pub(crate) const SHARD_UNAVAILABLE: Self =
        code("shard_unavailable", Status::SERVICE_UNAVAILABLE, "Part of the data is away", Later);
    pub(crate) const SHUTTING_DOWN: Self =
        code("shutting_down", Status::SERVICE_UNAVAILABLE, "The node is shutting down", Later);
    pub(crate) const STORAGE_FULL: Self =
        code("storage_full", Status::INSUFFICIENT_STORAGE, "There is no space left", Later);
}
