//! What the host keeps for plans between applies.

use super::clock::Clock;
use super::instance::{HostInstance, Kernels, kernels};
use super::memory::{constants, table_bytes};
use crate::allocate::spare;
use crate::error::Result;
use crate::kept::{Booking, Ledger, Shared, Spares, Store};
use crate::loops::{HostBuf, Slice};
use crate::plan::{LaneLimit, Plan, StepTime};
use crate::planner::PlanKey;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Bytes that are kept between applies, at first.
const BUDGET: u64 = 1 << 30;

/// Bytes of what describes a plan and a step, roughly: they count, so that many small plans are not kept for nothing.
const PLAN: u64 = 4 << 10;
const STEP: u64 = 2 << 10;

/// The host as a device.
#[derive(Debug)]
pub(crate) struct Host {
    pub plans: Store<PlanKey, HostPlan>,
    pub lane_limit: LaneLimit,
    /// Weights and tables of points that kept plans read, each counted once.
    constants: Shared<Constants, Booking>,
}

/// What tells shared data apart: it lives as long as a plan that reads it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Constants {
    Weight(crate::access::ConstantKey),
    Data(usize),
}

/// The host of this process.
pub(crate) fn host() -> &'static Host {
    static HOST: LazyLock<Host> = LazyLock::new(|| {
        spare::keep_while(most);
        Host {
            plans: Store::new(BUDGET, Ledger::of(spare::kept()), Spares::new(spare::give_up)),
            lane_limit: LaneLimit::default(),
            constants: Shared::default(),
        }
    });
    &HOST
}

/// Bytes that the host may keep now.
fn most() -> u64 {
    host().plans.most()
}

/// What is kept of a plan on the host: kernels with their tables, and scratch for each of the applies that ran at once.
pub(crate) struct HostPlan {
    plan: Plan,
    kernels: Kernels<f32>,
    idle: Mutex<Vec<Idle>>,
    _bytes: Vec<Arc<Booking>>,
}

struct Idle {
    instance: HostInstance<f32>,
    _bytes: Booking,
}

impl Host {
    pub fn prepare(&self, plan: Plan) -> Result<HostPlan> {
        let ledger = self.plans.ledger();
        let mut bytes: Vec<Arc<Booking>> = constants(&plan)
            .into_iter()
            .map(|(key, bytes)| {
                self.constants.get(&key).unwrap_or_else(|| self.constants.put(key, Arc::new(ledger.book(bytes))))
            })
            .collect();
        let own = table_bytes(&plan) + PLAN + STEP * plan.steps.len() as u64;
        bytes.push(Arc::new(ledger.book(own)));
        Ok(HostPlan { kernels: kernels(&plan)?, plan, idle: Mutex::default(), _bytes: bytes })
    }
}

impl HostPlan {
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs with scratch of its own: two applies never share it.
    pub fn run(&self, ledger: &Ledger, x: Slice<f32>, stop: &AtomicBool) -> Result<HostBuf<f32>> {
        self.leased(ledger, |instance| instance.run(&self.plan, x, stop))
    }

    /// [`run`](HostPlan::run), with the time of each step.
    pub fn profiled(&self, ledger: &Ledger, x: Slice<f32>, stop: &AtomicBool) -> Result<(HostBuf<f32>, Vec<StepTime>)> {
        self.leased(ledger, |instance| {
            instance.clock = Some(Clock::new());
            let y = instance.run(&self.plan, x, stop);
            let times = instance.clock.take().map_or_else(Vec::new, Clock::into_times);
            Ok((y?, times))
        })
    }

    /// [`run`](HostPlan::run) into a buffer of the output's length and dtype.
    pub fn run_into(
        &self,
        ledger: &Ledger,
        x: Slice<f32>,
        buffer: HostBuf<f32>,
        stop: &AtomicBool,
    ) -> Result<HostBuf<f32>> {
        self.leased(ledger, |instance| instance.run_into(&self.plan, x, buffer, stop))
    }

    fn leased<T>(&self, ledger: &Ledger, f: impl FnOnce(&mut HostInstance<f32>) -> Result<T>) -> Result<T> {
        let leased = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut idle = match leased {
            Some(idle) => idle,
            None => {
                let instance = HostInstance::with(&self.plan, self.kernels.clone())?;
                let bytes = ledger.book(instance.bytes());
                Idle { instance, _bytes: bytes }
            }
        };
        let done = f(&mut idle.instance);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
        done
    }
}

impl fmt::Debug for HostPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostPlan").field("steps", &self.plan.steps.len()).finish_non_exhaustive()
    }
}
