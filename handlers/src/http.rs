//! How this program reaches AWS: one HTTP client and one configuration, made at the start and shared by all services.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_glue::config::SharedHttpClient;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// The behaviour of the SDK that this program was tested with.
pub(crate) const BEHAVIOR: fn() -> BehaviorVersion = BehaviorVersion::v2026_01_12;

/// The HTTP client for all services: its pool of connections is shared.
pub fn http_client() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

/// Region, credentials and endpoints as the AWS tools find them: environment, profile, role.
pub async fn config() -> SdkConfig {
    aws_config::defaults(BEHAVIOR()).http_client(http_client()).load().await
}
