//! Who brings parcels: the carriers of the settings, or the demo's simulator.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use actors::domain::payment::ProviderName;
use anyhow::Context;
use edge::metrics::ProviderMetrics;
use edge::providers::carrier::simulator::{Behaviour, InProcess, Simulator};
use edge::providers::carrier::{Carrier, Carriers};
use edge::providers::{Caller, NoticeSecret, NoticeTarget};

use crate::config::{CarrierKind, Config, Products};
use crate::failure::Failure;
use crate::providers::{Secrets, refused, roots};
use crate::serve::random_hex;

/// The demo's own carrier, as fulfilments name it.
const DEMO: &str = "simulator";
/// Where the ledgers of those inside the node lie, in the data folder, each in a folder of its name.
const BUILT_IN_FOLDER: &str = "carrier-simulator";

/// Those of a node that is asked at this address.
pub fn carriers(
    config: &Config,
    address: SocketAddr,
    metrics: ProviderMetrics,
) -> Result<Carriers, Failure> {
    let mut carriers: BTreeMap<ProviderName, Arc<dyn Carrier>> = BTreeMap::new();
    for (name, kind) in &config.carriers {
        carriers.insert(name.clone(), carrier(config, address, name, kind)?);
    }
    let is_demo = config.products == Products::Demo && config.mesh.is_none();
    if is_demo
        && let Ok(name) = DEMO.parse::<ProviderName>()
        && !carriers.contains_key(&name)
    {
        let inside = built_in(config, address, &name)?;
        carriers.insert(name, inside);
    }
    Ok(Carriers::new(carriers, metrics))
}

fn carrier(
    config: &Config,
    address: SocketAddr,
    name: &ProviderName,
    kind: &CarrierKind,
) -> Result<Arc<dyn Carrier>, Failure> {
    let named = || format!("carrier {name}");
    let origin = match kind {
        CarrierKind::Simulator(origin) => origin,
        // Its ledger is this node's own, and another node may ask for the next parcel.
        CarrierKind::BuiltIn if config.mesh.is_some() => {
            let error = anyhow::anyhow!("a node of a cluster has no carrier of its own");
            return Err(refused(error.context(named())));
        }
        CarrierKind::BuiltIn => return built_in(config, address, name),
    };
    let roots = origin.is_https().then(|| roots(&config.payment_roots)).transpose()?;
    let caller = Caller::new(origin.clone(), roots).with_context(named).map_err(refused)?;
    let secrets = Secrets { folder: config.carrier_secrets.as_deref(), name };
    Ok(Arc::new(Simulator::new(caller, secrets.notices::<NoticeSecret>()?)))
}

/// Its notices come in at the front door, signed with what only this process knows.
fn built_in(
    config: &Config,
    address: SocketAddr,
    name: &ProviderName,
) -> Result<Arc<dyn Carrier>, Failure> {
    let host = match address.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let front = SocketAddr::new(host, address.port());
    let origin = format!("http://{front}/hooks/shipping/{name}").parse();
    let origin = origin.context("the node's own address").map_err(refused)?;
    let caller = Caller::new(origin, None).map_err(|error| refused(error.into()))?;
    let secret = NoticeSecret::try_from(random_hex()?.as_str());
    let secret = secret.map_err(|error| refused(error.into()))?;
    let target = NoticeTarget { caller, secret };
    let folder = config.data.join(BUILT_IN_FOLDER).join(name.as_str());
    Ok(Arc::new(InProcess::new(folder, Behaviour::default(), target)))
}

#[cfg(test)]
mod tests {
    use actors::OrderId;
    use actors::domain::carrier::{BookingOutcome, BookingRequest, ParcelReference};
    use actors::domain::contact::Address;
    use actors::domain::order::ShipmentNumber;

    use super::*;
    use crate::config::{Demo, RawConfig, Setting};

    fn request(carrier: &ProviderName) -> BookingRequest {
        let label = |text: &str| text.to_owned().try_into().unwrap();
        let to = Address {
            name: label("A Shopper"),
            line1: label("Street 1"),
            line2: None,
            city: label("Town"),
            region: None,
            postal_code: None,
            country: "DE".parse().unwrap(),
        };
        let order = OrderId::from_bytes([2; 16]);
        let parcel = ParcelReference { order, shipment: ShipmentNumber(1) };
        BookingRequest { carrier: carrier.clone(), parcel, attempt: 1, option: None, to, pieces: 1 }
    }

    #[tokio::test]
    async fn each_carrier_inside_has_a_ledger_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let flags = BTreeMap::from([
            (Setting::Carrier, "mule=built-in,ox=built-in".to_owned()),
            (Setting::Data, folder.path().display().to_string()),
        ]);
        let raw = RawConfig::gather(flags, |_| None, None).unwrap();
        let config = Config::parse(&raw, Demo::No).unwrap();
        let address = "127.0.0.1:1".parse().unwrap();
        let all = carriers(&config, address, ProviderMetrics::default()).unwrap();
        let names = ["mule", "ox"].map(|name| name.parse::<ProviderName>().unwrap());
        for name in &names {
            let carrier = all.find(name).unwrap();
            assert_eq!(carrier.look_up(request(name)).await.unwrap(), None);
            let booked = carrier.book("key".to_owned(), request(name)).await.unwrap();
            assert!(matches!(booked.outcome, BookingOutcome::Booked(_)), "{booked:?}");
        }
        let mut ledgers: Vec<_> = std::fs::read_dir(folder.path().join(BUILT_IN_FOLDER))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        ledgers.sort_unstable();
        assert_eq!(ledgers, names.map(|name| name.to_string()));
    }
}
