//! What the domain's refusals are to HTTP. No catch-all arm: a new rule must choose its code here.

use actors::SkuCode;
use actors::domain::pricing::NotPriced;
use actors::domain::{cart, entry, gift_card, import, order, page, payment, sku};
use cluster::placement::cluster as placement;

use super::code::Code;
use super::error::{ApiError, Fault};

pub(super) fn of_cart(refusal: cart::Rejection) -> ApiError {
    use cart::Rejection;
    let detail = refusal.to_string();
    match refusal {
        // To its former owner too a deleted cart is a cart that is not there.
        Rejection::NotFound | Rejection::Deleted => ApiError::cart_not_found(),
        Rejection::AlreadyExists => ApiError::new(Code::CART_EXISTS, detail),
        Rejection::Merging { .. } => ApiError::new(Code::CART_MERGING, detail),
        Rejection::MergedAway { into } => {
            ApiError::new(Code::CART_MERGED, detail).at(format!("/store/v1/carts/{into}"))
        }
        Rejection::MergeIntoItself => ApiError::new(Code::MERGE_INTO_ITSELF, detail).about("from"),
        Rejection::CurrencyMismatch { .. } => ApiError::new(Code::CURRENCY_MISMATCH, detail),
        Rejection::LineNotFound { .. } => ApiError::new(Code::LINE_NOT_FOUND, detail),
        Rejection::TooManyLines => ApiError::new(Code::TOO_MANY_LINES, detail),
        Rejection::QuantityTooLarge { .. } => {
            ApiError::new(Code::QUANTITY_TOO_LARGE, detail).about("quantity")
        }
        Rejection::TotalTooLarge => ApiError::new(Code::TOTAL_TOO_LARGE, detail),
        Rejection::UnknownSku { .. } => ApiError::new(Code::SKU_NOT_FOR_SALE, detail).about("sku"),
        Rejection::NotPriced { .. } => ApiError::new(Code::SKU_NOT_PRICED, detail).about("sku"),
        Rejection::CatalogueUnavailable => {
            ApiError::new(Code::CATALOGUE_UNAVAILABLE, "carts cannot be priced at the moment")
        }
        Rejection::CatalogueStale => {
            ApiError::new(Code::CATALOGUE_STALE, "prices may be out of date at the moment")
        }
        Rejection::CheckingOut { order } => {
            ApiError::new(Code::CART_CHECKING_OUT, detail).at(format!("/store/v1/orders/{order}"))
        }
        Rejection::Ordered { order } => {
            ApiError::new(Code::CART_ORDERED, detail).at(format!("/store/v1/orders/{order}"))
        }
        Rejection::Empty => ApiError::new(Code::CART_EMPTY, detail),
        Rejection::NotPricedForOrder(why) => not_priced(&why, detail),
        Rejection::ShippingOptionRequired => {
            ApiError::new(Code::SHIPPING_OPTION_REQUIRED, detail).about("shipping_option")
        }
        Rejection::UnknownCode { .. } => {
            ApiError::new(Code::DISCOUNT_CODE_UNKNOWN, detail).about("code")
        }
        Rejection::CodeNotInForce { .. } => {
            ApiError::new(Code::DISCOUNT_CODE_NOT_IN_FORCE, detail).about("code")
        }
        Rejection::TooManyCodes => ApiError::new(Code::TOO_MANY_DISCOUNT_CODES, detail),
        Rejection::CodeNotFound { .. } => ApiError::new(Code::DISCOUNT_CODE_NOT_FOUND, detail),
        Rejection::CustomerRequired { .. } | Rejection::FirstOrderOfNobody { .. } => {
            ApiError::new(Code::EMAIL_REQUIRED, detail).about("email")
        }
        Rejection::TooManyGiftCards => {
            ApiError::new(Code::TOO_MANY_GIFT_CARDS, detail).about("gift_cards")
        }
        Rejection::GiftCardNotFound { .. } => ApiError::new(Code::GIFT_CARD_NOT_FOUND, detail),
        Rejection::NotFirstOrder { .. } => ApiError::new(Code::FIRST_ORDER_ONLY, detail),
    }
}

fn not_priced(why: &NotPriced, detail: String) -> ApiError {
    match why {
        NotPriced::UnknownSku { .. } => ApiError::new(Code::SKU_NOT_FOR_SALE, detail).about("sku"),
        NotPriced::NoPrice { .. } => ApiError::new(Code::SKU_NOT_PRICED, detail).about("sku"),
        NotPriced::UnknownShipping { .. }
        | NotPriced::ShippingNotPriced { .. }
        | NotPriced::NotShippedTo { .. } => {
            ApiError::new(Code::SHIPPING_OPTION_UNFIT, detail).about("shipping_option")
        }
        NotPriced::LineTooLarge { .. } | NotPriced::TotalTooLarge => {
            ApiError::new(Code::TOTAL_TOO_LARGE, detail)
        }
    }
}

pub(super) fn of_gift_card(refusal: gift_card::Rejection) -> ApiError {
    use gift_card::Rejection;
    let detail = refusal.to_string();
    match refusal {
        Rejection::NotFound => ApiError::new(Code::GIFT_CARD_NOT_FOUND, detail),
        Rejection::AlreadyIssued => ApiError::new(Code::GIFT_CARD_EXISTS, detail).about("code"),
        Rejection::NotPositive => ApiError::new(Code::VALIDATION_FAILED, detail).about("amount"),
        Rejection::TooMuch => ApiError::new(Code::GIFT_CARD_FULL, detail).about("amount"),
        Rejection::TooLittle { .. } => {
            ApiError::new(Code::GIFT_CARD_TOO_LITTLE, detail).about("amount")
        }
        Rejection::OtherCurrency { .. } => {
            ApiError::new(Code::GIFT_CARD_CURRENCY, detail).about("amount")
        }
    }
}

pub(super) fn of_order(refusal: order::Rejection) -> ApiError {
    use order::Rejection;
    let detail = refusal.to_string();
    match refusal {
        Rejection::NotFound => ApiError::order_not_found(),
        Rejection::NotConfirmed => ApiError::new(Code::ORDER_NOT_CONFIRMED, detail),
        Rejection::Over => ApiError::new(Code::ORDER_OVER, detail),
        Rejection::AlreadyShipped => ApiError::new(Code::ORDER_SHIPPED, detail),
        Rejection::OtherDestination => {
            ApiError::new(Code::ORDER_DESTINATION, detail).about("shipping_address")
        }
        Rejection::NotOnHold => ApiError::new(Code::ORDER_NOT_ON_HOLD, detail),
        Rejection::NotPaid => ApiError::new(Code::ORDER_NOT_PAID, detail),
        Rejection::LineNotFound { .. } => {
            ApiError::new(Code::LINE_NOT_FOUND, detail).about("items")
        }
        Rejection::TooMany { .. } => ApiError::new(Code::TOO_MANY_PIECES, detail).about("items"),
        Rejection::OnBackorder { .. } => {
            ApiError::new(Code::PIECES_ON_BACKORDER, detail).about("items")
        }
        Rejection::NothingNamed | Rejection::NotPositive | Rejection::OtherCurrency { .. } => {
            ApiError::new(Code::VALIDATION_FAILED, detail)
        }
        Rejection::NumberDiffers { .. } => {
            ApiError::new(Code::NUMBER_DIFFERS, detail).about("number")
        }
        Rejection::NumberOutOfOrder { .. } => {
            ApiError::new(Code::NUMBER_OUT_OF_ORDER, detail).about("number")
        }
        Rejection::ShipmentNotFound { .. } => ApiError::new(Code::SHIPMENT_NOT_FOUND, detail),
        Rejection::WithCarrier { .. } => {
            ApiError::new(Code::SHIPMENT_WITH_CARRIER, detail).about("number")
        }
        Rejection::ReturnNotFound { .. } => ApiError::new(Code::RETURN_NOT_FOUND, detail),
        Rejection::RefundTooLarge { .. } => {
            ApiError::new(Code::REFUND_TOO_LARGE, detail).about("amount")
        }
        Rejection::RefundDiffers => ApiError::new(Code::REFUND_DIFFERS, detail).about("amount"),
        Rejection::TooManyEntries => ApiError::new(Code::ORDER_FULL, detail),
        Rejection::ExchangeDiffers => ApiError::new(Code::EXCHANGE_DIFFERS, detail).about("reason"),
        Rejection::NotPriced(why) => {
            let error = not_priced(&why, detail);
            if why.is_of_shipping() { error } else { error.about("wanted") }
        }
        Rejection::PaymentRequired { .. } => {
            ApiError::new(Code::PAYMENT_REQUIRED, detail).about("payment")
        }
        Rejection::CatalogueUnavailable => {
            ApiError::new(Code::CATALOGUE_UNAVAILABLE, "nothing can be priced at the moment")
        }
        Rejection::CatalogueStale => {
            ApiError::new(Code::CATALOGUE_STALE, "prices may be out of date at the moment")
        }
        // Of what only carts ask for.
        Rejection::AlreadyExists => {
            tracing::error!(%refusal, "an order refused what no client asks for");
            ApiError::internal()
        }
    }
}

pub(super) fn of_stock(refusal: sku::Rejection, sku: &SkuCode) -> ApiError {
    use sku::Rejection;
    let detail = refusal.to_string();
    match refusal {
        Rejection::BelowReserved { .. } => ApiError::new(Code::BELOW_RESERVED, detail),
        Rejection::OnHandTooLarge => ApiError::new(Code::ON_HAND_TOO_LARGE, detail),
        Rejection::OutOfStock { requested, available } => {
            let (requested, available) = (requested.get(), available.get());
            let fault = Fault::Stock { sku: sku.to_string(), requested, available };
            ApiError::faults(Code::OUT_OF_STOCK, "fewer pieces are available", vec![fault])
        }
        Rejection::DifferentQuantity { .. } => ApiError::new(Code::RESERVATION_DIFFERS, detail),
        Rejection::TooManyReservations => {
            // They end one by one, when bought or given up, or at their expiry within minutes.
            const RETRY_AFTER_SECONDS: u64 = 5;
            ApiError::new(Code::TOO_MANY_RESERVATIONS, "reservations must end before others begin")
                .retry_after(RETRY_AFTER_SECONDS)
        }
        Rejection::ReleasedBefore => ApiError::new(Code::RESERVATION_RELEASED, detail),
        Rejection::NotReserved => ApiError::new(Code::RESERVATION_NOT_FOUND, detail),
        Rejection::Expired => ApiError::new(Code::RESERVATION_EXPIRED, detail),
        Rejection::AlreadyConfirmed => ApiError::new(Code::RESERVATION_CONFIRMED, detail),
        Rejection::HeldByAnother => ApiError::new(Code::RESERVATION_HELD_BY_ANOTHER, detail),
        Rejection::TooFewThere { .. } => ApiError::new(Code::TOO_FEW_AT_LOCATION, detail),
        Rejection::TooManyLocations => ApiError::new(Code::TOO_MANY_LOCATIONS, detail),
        Rejection::UnknownLocation { .. } => ApiError::new(Code::STOCK_LOCATION_UNKNOWN, detail),
        Rejection::CatalogueUnavailable => ApiError::new(Code::CATALOGUE_UNAVAILABLE, detail),
    }
}

pub(super) fn of_payment(refusal: payment::Rejection) -> ApiError {
    use payment::Rejection;
    let detail = refusal.to_string();
    match refusal {
        Rejection::NotFound => ApiError::new(Code::PAYMENT_NOT_FOUND, detail),
        Rejection::InvalidAmount => ApiError::new(Code::VALIDATION_FAILED, detail).about("amount"),
        Rejection::NotAuthorised => ApiError::new(Code::PAYMENT_NOT_AUTHORISED, detail),
        Rejection::Cancelled => ApiError::new(Code::PAYMENT_CANCELLED, detail),
        Rejection::TooMuch { .. } => ApiError::new(Code::CAPTURE_TOO_LARGE, detail).about("amount"),
        Rejection::DifferentAmount => ApiError::new(Code::CAPTURE_DIFFERS, detail).about("amount"),
        Rejection::TooMany => ApiError::new(Code::TOO_MANY_CAPTURES, detail),
        Rejection::AlreadyCaptured => ApiError::new(Code::PAYMENT_CAPTURED, detail),
        // Of what only orders ask for.
        Rejection::AlreadyOpened => {
            tracing::error!(%refusal, "a payment refused what no operator asks for");
            ApiError::internal()
        }
    }
}

pub(super) fn of_entry(refusal: entry::Rejection) -> ApiError {
    use entry::Rejection;
    let detail = refusal.to_string();
    match refusal {
        Rejection::CatalogueUnavailable => ApiError::new(Code::CATALOGUE_UNAVAILABLE, detail),
        Rejection::UnknownParent { .. } => {
            ApiError::new(Code::PARENT_NOT_FOUND, detail).about("parent")
        }
        Rejection::BelowItself => {
            ApiError::new(Code::CATEGORY_BELOW_ITSELF, detail).about("parent")
        }
        Rejection::HasChildren { .. } => ApiError::new(Code::CATEGORY_NOT_EMPTY, detail),
        Rejection::NoPromotionWithCode { .. } => {
            ApiError::new(Code::PROMOTION_WITHOUT_CODE, detail).about("promotion")
        }
        Rejection::TooManyAutomatic => {
            ApiError::new(Code::TOO_MANY_AUTOMATIC, detail).about("requires_code")
        }
        Rejection::OtherKey => {
            tracing::error!(%refusal, "an entry was sent to another");
            ApiError::internal()
        }
    }
}

pub(super) fn of_page(refusal: page::Rejection) -> ApiError {
    use page::Rejection;
    let detail = refusal.to_string();
    match refusal {
        Rejection::CatalogueUnavailable => ApiError::new(Code::CATALOGUE_UNAVAILABLE, detail),
        Rejection::OnAnotherPage { .. } => {
            ApiError::new(Code::SKU_ON_ANOTHER_PAGE, detail).about("variants")
        }
        Rejection::OtherSlug
        | Rejection::ForeignVariant { .. }
        | Rejection::UnlistedVariant { .. } => {
            tracing::error!(%refusal, "a page was sent what is not its own");
            ApiError::internal()
        }
    }
}

pub(super) fn of_import(refusal: import::Rejection) -> ApiError {
    use import::Rejection;
    let detail = refusal.to_string();
    match refusal {
        Rejection::NotFound => ApiError::new(Code::IMPORT_NOT_FOUND, detail),
        Rejection::AlreadyOpened => ApiError::new(Code::IMPORT_EXISTS, detail),
        Rejection::NotAtEnd { .. } => ApiError::new(Code::OFFSET_MISMATCH, detail),
        Rejection::TooLarge { .. } => ApiError::new(Code::IMPORT_TOO_LARGE, detail),
        Rejection::NotReceiving => ApiError::new(Code::IMPORT_NOT_RECEIVING, detail),
        Rejection::Empty => ApiError::new(Code::IMPORT_EMPTY, detail),
        Rejection::Ended => ApiError::new(Code::IMPORT_ENDED, detail),
    }
}

pub(super) fn of_cluster(refusal: placement::Rejection) -> ApiError {
    use placement::Rejection;
    let detail = refusal.to_string();
    match refusal {
        Rejection::NotFounded => {
            let detail = "the node is no part of a cluster, or of one that is not founded yet";
            ApiError::new(Code::NOT_CLUSTERED, detail)
        }
        Rejection::UnknownNode { .. } => ApiError::new(Code::NODE_NOT_FOUND, detail),
        Rejection::UnknownShard { .. } => ApiError::new(Code::SHARD_NOT_FOUND, detail),
        Rejection::TooFewRemain { .. } => {
            ApiError::new(Code::TOO_FEW_NODES, detail).about("accept_fewer")
        }
        Rejection::Removed { .. } => ApiError::new(Code::NODE_REMOVED, detail),
        Rejection::Lost { .. } => ApiError::new(Code::NODE_LOST, detail),
        Rejection::HoldsNoReplica { .. } => ApiError::new(Code::NO_REPLICA, detail).about("to"),
        Rejection::MayNotLead { .. } => ApiError::new(Code::NODE_MAY_NOT_LEAD, detail).about("to"),
        Rejection::Pinned { .. } => ApiError::new(Code::SHARD_PINNED, detail),
        // Of what only nodes ask for.
        Rejection::AlreadyFounded
        | Rejection::TextLength { .. }
        | Rejection::InvalidPlan
        | Rejection::StalePlan { .. }
        | Rejection::LevelUnknown { .. }
        | Rejection::LevelTooHigh { .. }
        | Rejection::OldCopy { .. }
        | Rejection::GivenUp { .. }
        | Rejection::StillHolds { .. } => {
            tracing::error!(%refusal, "the cluster refused what no operator asks for");
            ApiError::internal()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::http::header::RETRY_AFTER;
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn prices_that_may_be_out_of_date_are_worth_another_try() {
        let error = of_cart(cart::Rejection::CatalogueStale);
        let mut response = error.clone().into_response();
        error.render("/", "mine", &mut response);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), "1");
    }

    #[test]
    fn a_stock_with_too_many_reservations_is_not_a_node_with_too_much_to_do() {
        let refusal = sku::Rejection::TooManyReservations;
        let error = of_stock(refusal, &"tea".parse().unwrap());
        let mut response = error.clone().into_response();
        error.render("/", "mine", &mut response);
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), "5");
    }
}
