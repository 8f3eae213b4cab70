//! Sending a file to the stage while its next part is being encoded.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use object_store::path::Path;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    stage: Stage,
    path: Path,
    attempt: String,
    index: usize,
    state: State,
}

enum State {
    NotBegun,
    /// Bytes are under way.
    Sending(SpawnedTask<(StagedWriter, Result<()>)>),
    Idle(StagedWriter),
}

impl Upload {
    /// An upload that begins with the first bytes; `index` is unique within this attempt of the run.
    pub(super) fn new(stage: &Stage, path: Path, attempt: &str, index: usize) -> Self {
        Self { stage: stage.clone(), path, attempt: attempt.to_owned(), index, state: State::NotBegun }
    }

    /// Sends bytes, at least a part of them, in the background, once those before have arrived. Their room is given back then.
    pub(super) async fn send(&mut self, bytes: Bytes, room: OwnedSemaphorePermit) -> Result<()> {
        let mut writer = self.writer().await?;
        self.state = State::Sending(SpawnedTask::spawn(async move {
            let outcome = in_parts(&mut writer, bytes).await;
            drop(room);
            (writer, outcome)
        }));
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
        match std::mem::replace(&mut self.state, State::NotBegun) {
            State::NotBegun => {}
            State::Idle(writer) => writer.abort().await,
            State::Sending(task) => {
                if let Ok((writer, _)) = task.join().await {
                    writer.abort().await;
                }
            }
        }
    }

    /// What the next bytes go to, once those before have arrived.
    async fn writer(&mut self) -> Result<StagedWriter> {
        match std::mem::replace(&mut self.state, State::NotBegun) {
            State::NotBegun => self.stage.create(self.path.clone(), &self.attempt, self.index).await,
            State::Idle(writer) => Ok(writer),
            State::Sending(task) => {
                let (writer, outcome) =
                    task.join().await.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
                match outcome {
                    Ok(()) => Ok(writer),
                    Err(error) => {
                        self.state = State::Idle(writer);
                        Err(error)
                    }
                }
            }
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
