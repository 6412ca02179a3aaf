//! The carrier simulator as a process: asked through the adapter, killed, asked again, and heard.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use actors::OrderId;
use actors::domain::carrier::{BookingOutcome, BookingRequest, ParcelReference};
use actors::domain::contact::Address;
use actors::domain::order::ShipmentNumber;
use edge::providers::carrier::Carrier;
use edge::providers::carrier::simulator::Simulator;

use crate::running::Running;

const COMMAND: &str = "carrier-simulator";

fn carrier(running: &Running) -> Simulator {
    Simulator::new(running.caller(), None)
}

fn request() -> BookingRequest {
    let label = |text: &str| text.to_owned().try_into().expect("a label");
    let to = Address {
        name: label("A Shopper"),
        line1: label("Street 1"),
        line2: None,
        city: label("Town"),
        region: None,
        postal_code: None,
        country: "DE".parse().expect("a country"),
    };
    let order = OrderId::from_bytes([2; 16]);
    let parcel = ParcelReference { order, shipment: ShipmentNumber(1) };
    let (carrier, option) = ("mule".parse().expect("a name"), None);
    BookingRequest { carrier, parcel, attempt: 1, option, to, pieces: 1 }
}

/// One request, answered with 204; its body.
fn heard(hook: &TcpListener) -> String {
    let (mut stream, _) = hook.accept().expect("a notice");
    let mut reader = BufReader::new(stream.try_clone().expect("the same connection"));
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("it listens");
    String::from_utf8(body).expect("JSON")
}

#[tokio::test]
async fn what_was_booked_is_booked_after_a_kill_and_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(COMMAND, folder.path(), &[]);
    assert_eq!(carrier(&running).look_up(request()).await.unwrap(), None);
    let booked = carrier(&running).book("key-1".to_owned(), request()).await.unwrap();
    let BookingOutcome::Booked(booking) = &booked.outcome else { panic!("{booked:?}") };
    assert!(booking.label_url.as_str().starts_with(&format!("http://{}/labels/", running.address)));
    drop(running);
    let hook = TcpListener::bind("127.0.0.1:0").unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "whsec_0123456789abcdef").unwrap();
    let url = format!("http://{}/hooks/shipping/mule", hook.local_addr().unwrap());
    let secret = secret.to_str().unwrap();
    let arguments = ["--pace", "1", "--webhook-url", &url, "--webhook-secret-file", secret];
    let running = Running::start(COMMAND, folder.path(), &arguments);
    let places: Vec<_> = (0..3).map(|_| heard(&hook)).collect();
    for place in ["in_transit", "out_for_delivery", "delivered"] {
        assert!(places.iter().any(|body| body.contains(place)), "{place}: {places:?}");
    }
    let again = carrier(&running).book("key-2".to_owned(), request()).await.unwrap();
    assert_eq!(again, booked);
}
