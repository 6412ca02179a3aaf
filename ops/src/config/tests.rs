use std::collections::BTreeMap;
use std::path::Path;

use actors::domain::order::CaptureTime;

use super::*;

const FILE: &str = "shop.toml";

#[derive(Default)]
struct GivenSettings {
    flags: Vec<(Setting, &'static str)>,
    environment: Vec<(&'static str, &'static str)>,
    file: Option<&'static str>,
}

impl GivenSettings {
    fn raw(&self) -> Result<RawConfig, ConfigError> {
        let flags: BTreeMap<_, _> =
            self.flags.iter().map(|(setting, text)| (*setting, (*text).to_owned())).collect();
        let environment = |name: &str| {
            let found = self.environment.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, text)| (*text).to_owned())
        };
        RawConfig::gather(flags, environment, self.file.map(|text| (Path::new(FILE), text)))
    }

    fn config(&self, demo: Demo) -> Result<Config, ConfigError> {
        Config::parse(&self.raw()?, demo)
    }

    #[track_caller]
    fn refused(&self, message: &str) {
        let error = self.config(Demo::No).expect_err("refused");
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn the_defaults_are_valid_and_as_documented() {
    let config = GivenSettings::default().config(Demo::No).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:7600");
    assert_eq!(config.data, Path::new("./omnicart-data"));
    assert_eq!((config.n_shards, config.segment_bytes), (None, 64 << 20));
    assert_eq!((config.entity_bytes_max, config.shard_queue_bytes_max), (2 << 30, 8 << 20));
    assert!(config.operator_token.is_none() && config.key_file.is_none());
    assert_eq!(config.products, Products::None);
    assert_eq!(config.shutdown_grace, Duration::from_secs(10));
    assert_eq!(config.cart_creation_rate, NonZeroU32::new(100));
}

#[test]
fn no_limit_is_asked_for_by_zero() {
    let rate = |text| {
        let flags = vec![(Setting::CartCreationRate, text)];
        GivenSettings { flags, ..GivenSettings::default() }
    };
    assert_eq!(rate("0").config(Demo::No).unwrap().cart_creation_rate, None);
    rate("1000001").refused(
        "setting cart-creation-rate from flag --cart-creation-rate is \"1000001\": \
         a whole number of carts a second, at most 1000000, or 0",
    );
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let mut given = GivenSettings::default();
    let data = |given: &GivenSettings| {
        let raw = given.raw().unwrap();
        let config = Config::parse(&raw, Demo::No).unwrap();
        (config.data.display().to_string(), raw.source(Setting::Data).cloned().unwrap())
    };
    assert_eq!(data(&given), ("./omnicart-data".into(), Source::Default));
    given.file = Some("data = 'file'");
    assert_eq!(data(&given), ("file".into(), Source::File(FILE.into())));
    given.environment.push(("OMNICART_DATA", "environment"));
    assert_eq!(data(&given), ("environment".into(), Source::Environment));
    given.flags.push((Setting::Data, "flag"));
    assert_eq!(data(&given), ("flag".into(), Source::Flag));
}

#[test]
fn every_setting_is_read_from_the_file() {
    let file = "listen = '0.0.0.0:1'\ndata = 'd'\nshards = 8\nsegment_size = '8MiB'\n\
                snapshot_after = '1MiB'\n\
                entity_memory = '1GiB'\nqueue_memory = 2097152\nindex_cache = '4MiB'\n\
                operator_token = 'a-token-of-some-length-or-other-x'\nkey_file = 'k'\ncatalogue = 'c'\n\
                log_format = 'json'\nlog_level = 'info,cluster=debug'\nshutdown_grace = '1s'\n\
                request_timeout = '2s'\ncart_creation_rate = 7\n\
                import_size = '2MiB'\nimport_rows = 9\n\
                mesh_listen = '127.0.0.1:7702'\nnode_number = 2\nadvertise = 'two.example:7702'\n\
                zone = 'east'\ncertificates = 'c2'\njoin = 'one.example:7701, 127.0.0.1:7703'\n\
                payment_provider = 'sim=simulator+http://127.0.0.1:1'\npayment_secrets = 's'\n\
                payment_roots = 'r'\npayment_rules = '-> sim'\ncapture = 'on-fulfilment'\ncheckout_wait = '2s'";
    let given = GivenSettings { file: Some(file), ..GivenSettings::default() };
    let raw = given.raw().unwrap();
    for setting in Setting::ALL {
        assert_eq!(raw.source(setting), Some(&Source::File(FILE.into())), "{setting}");
    }
    let config = Config::parse(&raw, Demo::No).unwrap();
    assert_eq!((config.n_shards, config.segment_bytes), (Some(8), 8 << 20));
    assert_eq!((config.shard_queue_bytes_max, config.index_cache_bytes), (2 << 20, 4 << 20));
    assert_eq!(config.products, Products::File("c".into()));
    assert_eq!(config.log_format, LogFormat::Json);
    assert!(config.operator_token.is_some());
    assert_eq!(config.request_timeout, Duration::from_secs(2));
    assert_eq!((config.import_bytes_max, config.import_rows_max), (2 << 20, 9));
    assert_eq!(config.payment_providers.len(), 1);
    assert_eq!(config.payment_secrets, Some("s".into()));
    assert_eq!(config.payment_rules, "-> sim".parse().ok());
    assert_eq!(config.capture, CaptureTime::OnFulfilment);
    assert_eq!(config.checkout_wait, Duration::from_secs(2));
    let mesh = config.mesh.unwrap();
    assert_eq!((mesh.number.get(), mesh.zone.as_str()), (2, "east"));
    assert_eq!(mesh.advertise, "two.example:7702");
    assert_eq!(mesh.join, ["one.example:7701", "127.0.0.1:7703"]);
}

#[test]
fn a_part_in_a_cluster_is_refused_where_it_cannot_be() {
    let mesh = |setting, text| {
        let listen = (Setting::MeshListen, "127.0.0.1:7701");
        GivenSettings { flags: vec![listen, (setting, text)], ..GivenSettings::default() }
    };
    let alone = GivenSettings::default().config(Demo::No).unwrap();
    assert!(alone.mesh.is_none());
    let config = mesh(Setting::Zone, "east").config(Demo::No).unwrap();
    assert_eq!(config.mesh.unwrap().advertise, "127.0.0.1:7701");
    mesh(Setting::NodeNumber, "0").refused(
        "setting node-number from flag --node-number is \"0\": 0 is no node number: 1 to 65535 are",
    );
    mesh(Setting::Join, "nowhere").refused(
        "setting join from flag --join is \"nowhere\": a host and port, such as \
         node-2.shop.example:7700",
    );
    mesh(Setting::MeshListen, "127.0.0.1:0").refused(
        "setting mesh-listen from flag --mesh-listen is \"127.0.0.1:0\": a port other than 0",
    );
    let flags = vec![(Setting::Join, "one.example:7701")];
    GivenSettings { flags, ..GivenSettings::default() }
        .refused("join was given without mesh-listen: members could not reach this node");
}

#[test]
fn an_unknown_key_is_named() {
    let given = GivenSettings { file: Some("lisen = 'x'"), ..GivenSettings::default() };
    given.refused("unknown setting lisen in shop.toml");
}

#[test]
fn a_file_that_is_no_toml_is_refused_by_line() {
    let given = GivenSettings { file: Some("data = 'a'\nlisten = \n"), ..GivenSettings::default() };
    let message = given.config(Demo::No).unwrap_err().to_string();
    assert!(message.starts_with("shop.toml is not a settings file: line 2: "), "{message}");
    let given = GivenSettings { file: Some("shards = true"), ..GivenSettings::default() };
    given.refused("setting shards from shop.toml: a string or a whole number is expected");
}

#[test]
fn a_bad_value_names_its_setting_and_its_source() {
    let given =
        GivenSettings { flags: vec![(Setting::Listen, "here")], ..GivenSettings::default() };
    given.refused(
        "setting listen from flag --listen is \"here\": an address and port, such as 127.0.0.1:7600",
    );
    let environment = vec![("OMNICART_SEGMENT_SIZE", "1MiB")];
    let given = GivenSettings { environment, ..GivenSettings::default() };
    given.refused(
        "setting segment-size from environment variable OMNICART_SEGMENT_SIZE is \"1MiB\": \
         at least 4194304 bytes",
    );
    let given = GivenSettings { file: Some("shards = 0"), ..GivenSettings::default() };
    given.refused("setting shards from shop.toml is \"0\": a whole number between 1 and 4096");
    for (setting, text) in [
        (Setting::Data, ""),
        (Setting::EntityMemory, "1kB"),
        (Setting::LogFormat, "xml"),
        (Setting::LogLevel, "cluster=loud"),
        (Setting::ShutdownGrace, "10"),
        (Setting::RequestTimeout, "0s"),
        (Setting::RequestTimeout, "6m"),
    ] {
        let given = GivenSettings { flags: vec![(setting, text)], ..GivenSettings::default() };
        let error = given.config(Demo::No).expect_err("refused");
        assert!(error.to_string().starts_with(&format!("setting {setting} from flag")), "{error}");
    }
}

#[test]
fn a_secret_is_never_printed() {
    let environment = vec![("OMNICART_OPERATOR_TOKEN", "too-short")];
    let given = GivenSettings { environment, ..GivenSettings::default() };
    given.refused(
        "setting operator-token from environment variable OMNICART_OPERATOR_TOKEN: \
         an operator token is 32 to 512 visible ASCII characters",
    );
    let environment = vec![("OMNICART_OPERATOR_TOKEN", "a-token-of-some-length-or-other-x")];
    let given = GivenSettings { environment, ..GivenSettings::default() };
    let config = given.config(Demo::No).unwrap();
    assert!(!format!("{config:?}").contains("a-token"), "{config:?}");
}

#[test]
fn the_demo_brings_its_own_catalogue() {
    let config = GivenSettings::default().config(Demo::Yes).unwrap();
    assert_eq!(config.products, Products::Demo);
    let given =
        GivenSettings { flags: vec![(Setting::Catalogue, "c")], ..GivenSettings::default() };
    assert!(matches!(given.config(Demo::Yes), Err(ConfigError::DemoWithCatalogue)));
}

#[test]
fn names_of_settings_are_distinct_and_consistent() {
    for setting in Setting::ALL {
        assert_eq!(Setting::from_key(&setting.key()), Some(setting));
        assert!(setting.variable().starts_with("OMNICART_"));
    }
}
