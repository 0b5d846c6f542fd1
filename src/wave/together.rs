//! Several futures of one task at the same time.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use super::reader::Reader;

/// A future on the heap that may borrow.
pub type Borrowed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Runs all futures to their end, each with a chain of reads of its own, and gives their outputs in order. What `reader` reads
/// afterwards depends on all of them.
pub async fn together<'a, T, F>(reader: &Reader, starts: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: FnOnce(Reader) -> Borrowed<'a, T>,
{
    let mut running: Vec<(Reader, Option<Borrowed<'a, T>>, Option<T>)> = starts
        .into_iter()
        .map(|start| {
            let fork = reader.fork();
            (fork.clone(), Some(start(fork)), None)
        })
        .collect();
    poll_fn(|context| {
        let mut pending = false;
        for (_, future, output) in &mut running {
            if let Some(polled) = future {
                match polled.as_mut().poll(context) {
                    Poll::Ready(value) => {
                        *output = Some(value);
                        *future = None;
                    }
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    running
        .into_iter()
        .filter_map(|(fork, _, output)| {
            reader.absorb(fork.depth());
            output
        })
        .collect()
}
