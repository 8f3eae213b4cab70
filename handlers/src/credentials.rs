//! The SDK's credentials for the object store: both find them in the same places.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, Error, Result};
use tokio::sync::Mutex;

/// Credentials that expire sooner are asked for anew.
const EARLY: Duration = Duration::from_secs(300);

/// Credentials of the SDK's chain, kept until they expire.
#[derive(Debug)]
pub struct SdkCredentials {
    provider: SharedCredentialsProvider,
    last: Mutex<Option<(Credentials, Arc<AwsCredential>)>>,
}

impl SdkCredentials {
    /// From the SDK's provider.
    pub fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, last: Mutex::default() }
    }
}

#[async_trait]
impl CredentialProvider for SdkCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        let mut last = self.last.lock().await;
        if let Some((credentials, known)) = last.as_ref()
            && credentials.expiry().is_none_or(|expiry| expiry > SystemTime::now() + EARLY)
        {
            return Ok(Arc::clone(known));
        }
        let credentials = self.provider.provide_credentials().await;
        let credentials =
            credentials.map_err(|error| Error::Unauthenticated { path: "S3".to_owned(), source: Box::new(error) })?;
        let known = Arc::new(AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
        });
        *last = Some((credentials, Arc::clone(&known)));
        Ok(known)
    }
}
