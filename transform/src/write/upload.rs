//! Sending a file to the stage while its next part is being encoded.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use object_store::path::Path;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;

use crate::code::Code;
use crate::error::{Error, Result};
use crate::stage::{PART_SIZE, Stage, Staged, StagedWriter};

/// Bytes of all files that may be on their way at a time: a storage that is slower than the encoders makes them wait, instead of
/// filling the memory.
#[derive(Clone)]
pub(super) struct Room {
    free: Arc<Semaphore>,
    total: u32,
}

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        let total = u32::try_from(bytes).unwrap_or(u32::MAX);
        Self { free: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Room for bytes, until it is dropped. Bytes that are more than all the room go by themselves.
    pub(super) async fn take(&self, bytes: u64) -> Result<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.total);
        let taken = Arc::clone(&self.free).acquire_many_owned(bytes).await;
        taken.map_err(|error| Error::new(Code::Internal, error.to_string()))
    }

    /// Bytes that are on their way.
    pub(super) fn taken(&self) -> usize {
        (self.total as usize).saturating_sub(self.free.available_permits())
    }
}

/// A file on its way to the stage, one part after the other.
pub(super) struct Upload {
    /// Nothing after a failure.
    state: Option<State>,
}

enum State {
    /// It is being begun, while the first values are encoded.
    Beginning(SpawnedTask<Result<StagedWriter>>),
    /// Bytes are under way.
    Sending(SpawnedTask<(StagedWriter, Result<()>)>),
    Idle(StagedWriter),
}

impl Upload {
    /// Begins an upload; `index` is unique within this attempt of the run.
    pub(super) fn begin(stage: &Stage, path: Path, attempt: &str, index: usize) -> Self {
        let (stage, attempt) = (stage.clone(), attempt.to_owned());
        let beginning = SpawnedTask::spawn(async move { stage.create(path, &attempt, index).await });
        Self { state: Some(State::Beginning(beginning)) }
    }

    /// Sends bytes, at least a part of them, in the background, once those before have arrived. Their room is given back then.
    pub(super) async fn send(&mut self, bytes: Bytes, room: OwnedSemaphorePermit) -> Result<()> {
        let mut writer = self.writer().await?;
        self.state = Some(State::Sending(SpawnedTask::spawn(async move {
            let outcome = in_parts(&mut writer, bytes).await;
            drop(room);
            (writer, outcome)
        })));
        Ok(())
    }

    /// Sends the last bytes. On an error the upload is given up.
    pub(super) async fn finish(mut self, last: Bytes) -> Result<Staged> {
        let mut writer = match self.writer().await {
            Ok(writer) => writer,
            Err(error) => {
                self.abort().await;
                return Err(error);
            }
        };
        match in_parts(&mut writer, last).await {
            Ok(()) => writer.finish().await,
            Err(error) => {
                writer.abort().await;
                Err(error)
            }
        }
    }

    /// Gives the upload up.
    pub(super) async fn abort(mut self) {
        let writer = match self.state.take() {
            None => None,
            Some(State::Beginning(task)) => task.join().await.ok().and_then(Result::ok),
            Some(State::Idle(writer)) => Some(writer),
            Some(State::Sending(task)) => task.join().await.ok().map(|(writer, _)| writer),
        };
        if let Some(writer) = writer {
            writer.abort().await;
        }
    }

    /// What the next bytes go to, once those before have arrived.
    async fn writer(&mut self) -> Result<StagedWriter> {
        let internal = |error: JoinError| Error::new(Code::Internal, error.to_string());
        match self.state.take() {
            None => Err(Error::new(Code::Internal, "an upload that has failed goes on")),
            Some(State::Beginning(task)) => task.join().await.map_err(internal)?,
            Some(State::Idle(writer)) => Ok(writer),
            Some(State::Sending(task)) => match task.join().await.map_err(internal)? {
                (writer, Ok(())) => Ok(writer),
                (writer, Err(error)) => {
                    self.state = Some(State::Idle(writer));
                    Err(error)
                }
            },
        }
    }
}

/// Cuts bytes into parts; what is left over goes with the last one, because only the very last of a file may be small.
async fn in_parts(writer: &mut StagedWriter, mut bytes: Bytes) -> Result<()> {
    while bytes.len() >= 2 * PART_SIZE {
        writer.write(bytes.split_to(PART_SIZE)).await?;
    }
    writer.write(bytes).await
}
