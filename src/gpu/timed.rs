//! Passes that run one after the other, each between two timestamps of the device; or, where it has none, each waited for.

use super::core::Core;
use super::faults::checked;
use super::queues::Uses;
use crate::error::Result;
use std::sync::Arc;
use std::time::Instant;

/// Passes of one set of queries: wgpu takes 4096 queries in a set.
const SET: usize = 2048;

/// Begin and end of a pass, in [ticks](Ticks::period).
pub(super) type Span = [u64; 2];

/// What tells the time of passes on a device.
#[derive(Debug)]
pub(super) struct Ticks<'c> {
    core: &'c Arc<Core>,
    start: Instant,
    by_device: bool,
}

/// What is recorded into a pass.
pub(super) type Pass<'p> = &'p dyn Fn(&mut wgpu::ComputePass);

impl<'c> Ticks<'c> {
    /// Of passes on lane 0, or on several: clocks of several queues or devices have nothing to do with each other.
    pub fn new(core: &'c Arc<Core>, on_first_lane: bool) -> Ticks<'c> {
        let has = core.device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        Ticks { core, start: Instant::now(), by_device: has && on_first_lane }
    }

    /// Whether the device itself tells the time.
    pub fn by_device(&self) -> bool {
        self.by_device
    }

    /// Seconds of a tick.
    ///
    /// # Errors
    /// The lane takes no more work.
    pub fn period(&self) -> Result<f64> {
        match self.by_device {
            true => Ok(f64::from(self.core.lanes.queue(0)?.get_timestamp_period()) * 1e-9),
            false => Ok(1e-9),
        }
    }

    /// Now, where the host tells the time.
    pub fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// Runs passes on a lane, in order, and waits for them.
    ///
    /// # Errors
    /// The device reports one.
    pub fn run(&self, lane: usize, passes: &[Pass], uses: &Uses) -> Result<Vec<Span>> {
        let mut spans = Vec::with_capacity(passes.len());
        if !self.by_device {
            for pass in passes {
                let begin = self.now();
                let record = |device: &wgpu::Device| Ok(vec![checked(device, || encoded(device, &[*pass], None))?]);
                self.core.lanes.submit_with(lane, record, uses)?;
                self.core.wait()?;
                spans.push([begin, self.now()]);
            }
            return Ok(spans);
        }
        for passes in passes.chunks(SET) {
            let (device, count) = (self.core.lane(lane).device, 2 * passes.len() as u32);
            let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
            let ticks = self.core.lanes.alloc(8 * u64::from(count), usage)?;
            let commands = checked(device, || {
                let ty = wgpu::QueryType::Timestamp;
                let queries = device.create_query_set(&wgpu::QuerySetDescriptor { label: Some("linops"), ty, count });
                encoded(device, passes, Some((&queries, ticks.on(lane))))
            })?;
            self.core.submit_using(lane, vec![commands], uses)?;
            let read: Vec<u64> = self.core.lanes.read(&ticks, count as usize)?;
            spans.extend(read.chunks_exact(2).map(|t| [t[0], t[1].max(t[0])]));
        }
        Ok(spans)
    }
}

fn encoded(
    device: &wgpu::Device,
    passes: &[Pass],
    times: Option<(&wgpu::QuerySet, &wgpu::Buffer)>,
) -> wgpu::CommandBuffer {
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("linops.timed") });
    for (k, record) in (0u32..).zip(passes) {
        let timestamp_writes = times.map(|(queries, _)| wgpu::ComputePassTimestampWrites {
            query_set: queries,
            beginning_of_pass_write_index: Some(2 * k),
            end_of_pass_write_index: Some(2 * k + 1),
        });
        let desc = wgpu::ComputePassDescriptor { label: Some("linops.timed"), timestamp_writes };
        record(&mut encoder.begin_compute_pass(&desc));
    }
    if let Some((queries, ticks)) = times {
        encoder.resolve_query_set(queries, 0..2 * passes.len() as u32, ticks, 0);
    }
    encoder.finish()
}
