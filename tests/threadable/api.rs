//! What users see of containers and of types of their own.

use crate::common::data::{complex, real};
use crate::common::{bits, devices};
use crate::sets::{SHAPE, alike, containers, unlike};
use linops::internal::Schedule;
use linops::linop::{self, Operator, Threads};
use linops::program::{Builder, Split, ThreadSettings, ValueId};
use linops::{DType, Device, Linop, Result, Shape, Tensor, Threadable, ThreadedApply};
use std::sync::Arc;

fn some() -> ThreadSettings {
    ThreadSettings { threaded: true, num_workers: Some(3) }
}

fn host_bits(t: &Tensor) -> Vec<(u32, u32)> {
    bits(&t.to(&Device::host()).unwrap().to_array().unwrap())
}

#[test]
fn settings_survive_adjoint_normal_copy_and_rename() {
    for (name, a) in containers(&alike(4)) {
        assert_eq!(a.settings(), Some(&ThreadSettings::default()), "{name}");
        let a = a.with_settings(some()).named("mine");
        for (what, b) in [("h", a.h()), ("n", a.n()), ("h h", a.h().h()), ("copy", a.shallow_copy())] {
            assert_eq!(b.settings(), Some(&some()), "{what} of {name}");
            // And they reach the plan.
            let plan = b.plan(&Device::host(), DType::Complex32).unwrap();
            assert!(!plan.regions.is_empty() && plan.regions.iter().all(|r| r.in_flight == 3), "{what} of {name}");
        }
        assert_eq!(a.h().with_settings(ThreadSettings::default()).h().settings(), Some(&ThreadSettings::default()));
    }
    let f = linop::flip("N=3", "N").unwrap();
    assert!(f.settings().is_none() && f.threads().is_none() && f.with_threads(&Threads::new(&alike(2))).is_err());
    let text = serde_json::to_string(&some()).unwrap();
    assert_eq!(serde_json::from_str::<ThreadSettings>(&text).unwrap(), some());
    assert_eq!(serde_json::from_str::<ThreadSettings>("{}").unwrap(), ThreadSettings::default());
}

#[test]
fn sub_linops_are_shallow_copies() {
    let a = alike(1).remove(0);
    let twice = linop::add(vec![a.clone(), a.clone()]).unwrap();
    let [one, two] = twice.children() else { panic!("two sub-linops went in") };
    assert!(!one.same(&a) && !one.same(two) && a.same(&a.clone()));
    // Programs, and with them all constants, are shared.
    assert!(Arc::ptr_eq(&one.program().unwrap(), &two.program().unwrap()));
    assert_eq!(one.label(), "coil 0");
    let mut threads = twice.threads().unwrap();
    threads.set_linops(&alike(3));
    threads.set_settings(some());
    assert_eq!((threads.linops().len(), threads.num_workers(), threads.threaded()), (3, 3, true));
    let three = twice.named("sum").with_threads(&threads).unwrap();
    assert_eq!((three.children().len(), three.settings(), three.label()), (3, Some(&some()), "sum".to_string()));
    let (x, y) = (complex(SHAPE, 1), linop::add(alike(3)).unwrap());
    assert!(host_bits(&three.apply(&x).unwrap()) == host_bits(&y.apply(&x).unwrap()));
    assert!(host_bits(&three.h().apply(&x).unwrap()) == host_bits(&y.h().apply(&x).unwrap()));
}

#[test]
fn every_container_takes_other_linops() {
    for ((name, a), (_, b)) in containers(&alike(3)).into_iter().zip(containers(&unlike()[..4])) {
        let c = a.with_threads(&b.threads().unwrap()).unwrap();
        assert_eq!((c.input().unwrap(), c.output().unwrap()), (b.input().unwrap(), b.output().unwrap()), "{name}");
        let d = a.h().with_threads(&b.h().threads().unwrap()).unwrap();
        assert_eq!(d.input().unwrap(), b.output().unwrap(), "{name}");
        let x = complex(b.input().unwrap(), 1);
        assert!(host_bits(&c.apply(&x).unwrap()) == host_bits(&b.apply(&x).unwrap()), "{name}");
        assert!(host_bits(&d.h().apply(&x).unwrap()) == host_bits(&b.apply(&x).unwrap()), "{name}");
    }
}

#[test]
fn one_input_goes_to_all_and_a_list_one_each() {
    for linops in [alike(5), unlike()] {
        let threads = Threads::with_settings(&linops, some());
        let one = complex(SHAPE, 1);
        let each: Vec<Tensor> = (0..linops.len() as u64).map(|k| complex(SHAPE, 2 + k)).collect();
        for device in devices() {
            let one = one.to(&device).unwrap();
            let each: Vec<Tensor> = each.iter().map(|x| x.to(&device).unwrap()).collect();
            let all = threads.threaded_apply(&one).unwrap();
            let lists = threads.threaded_apply(&each).unwrap();
            for (k, l) in linops.iter().enumerate() {
                assert!(host_bits(&all[k]) == host_bits(&l.apply(&one).unwrap()));
                assert!(host_bits(&lists[k]) == host_bits(&l.apply(&each[k]).unwrap()));
                assert_eq!(all[k].device_name(), device.name());
            }
            let sum = threads.threaded_apply_sum_reduce(&one).unwrap();
            assert!(host_bits(&sum) == host_bits(&linop::add(linops.clone()).unwrap().apply(&one).unwrap()));
            let packed = concatenated(&each).to(&device).unwrap();
            let row = linop::concat(linops.clone(), Some("Y"), None).unwrap();
            let sum = threads.threaded_apply_sum_reduce(&each).unwrap();
            assert!(host_bits(&sum) == host_bits(&row.apply(&packed).unwrap()));
            assert_eq!((sum.shape(), sum.device_name()), (&SHAPE.parse::<Shape>().unwrap(), device.name()));
        }
    }
}

fn concatenated(parts: &[Tensor]) -> Tensor {
    let arrays: Vec<_> = parts.iter().map(|p| p.to(&Device::host()).unwrap().to_array().unwrap()).collect();
    let views: Vec<_> = arrays.iter().map(|a| a.view()).collect();
    Tensor::from_array(ndarray::concatenate(ndarray::Axis(0), &views).unwrap(), "Y X").unwrap()
}

#[test]
fn lists_may_mix_dtypes_and_devices() {
    let linops = unlike();
    let threads = Threads::new(&linops);
    let xs: Vec<Tensor> =
        (0..linops.len() as u64).map(|k| if k % 2 == 0 { complex(SHAPE, k) } else { real(SHAPE, k) }).collect();
    let devices = devices();
    let spread = |k: usize| xs[k].to(&devices[k % devices.len()]).unwrap();
    let mixed: Vec<Tensor> = (0..xs.len()).map(spread).collect();
    let want = threads.threaded_apply_sum_reduce(&xs).unwrap().to_array().unwrap();
    let first = threads.threaded_apply_sum_reduce(&mixed).unwrap();
    let off = first
        .to(&Device::host())
        .unwrap()
        .to_array()
        .unwrap()
        .iter()
        .zip(&want)
        .map(|(a, b)| (a - b).norm())
        .fold(0.0, f32::max);
    assert!(off < 1e-4, "{off}");
    // The same assignment gives the same bits, with any number of workers.
    for workers in [Some(1), Some(2), None] {
        let threads = Threads::with_settings(&linops, ThreadSettings { threaded: true, num_workers: workers });
        assert!(host_bits(&threads.threaded_apply_sum_reduce(&mixed).unwrap()) == host_bits(&first));
    }
}

/// Σ over sub-linops of what each makes of the input, doubled: a container that is not in the crate.
#[derive(Clone, Debug)]
struct Doubled(Threads);

impl Threadable for Doubled {
    fn threads(&self) -> &Threads {
        &self.0
    }

    fn threads_mut(&mut self) -> &mut Threads {
        &mut self.0
    }
}

impl Operator for Doubled {
    fn op(&self) -> &'static str {
        "doubled"
    }

    fn children(&self) -> &[Linop] {
        self.0.linops()
    }

    fn settings(&self) -> Option<&ThreadSettings> {
        Some(self.0.settings())
    }

    fn with_settings(&self, settings: ThreadSettings) -> Option<Arc<dyn Operator>> {
        let mut d = self.clone();
        d.set_settings(settings);
        Some(Arc::new(d))
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let y = self.0.parallel(b, x, self.op(), Split::Whole, Split::Whole)?;
        b.scale(y, 2.0.into())
    }
}

#[test]
fn a_container_of_ones_own_is_threaded_like_the_others() {
    let shape: Shape = SHAPE.parse().unwrap();
    let own = Doubled(Threads::new(&unlike()));
    let a = Linop::new(shape.clone(), shape, Arc::new(own));
    let x = complex(SHAPE, 1);
    let sum = linop::add(unlike()).unwrap();
    for device in devices() {
        let on = x.to(&device).unwrap();
        for (a, sum) in [(a.clone(), sum.clone()), (a.h(), sum.h())] {
            let y = a.apply(&on).unwrap().to(&Device::host()).unwrap().to_array().unwrap();
            let twice = sum.apply(&on).unwrap().to(&Device::host()).unwrap().to_array().unwrap();
            let off = y.iter().zip(&twice).map(|(a, b)| (a - 2.0 * b).norm()).fold(0.0, f32::max);
            assert!(off < 1e-5, "{off}");
            let serial = a.with_settings(ThreadSettings { threaded: false, num_workers: None });
            assert!(host_bits(&serial.apply(&on).unwrap()) == bits(&y));
            let plan = serial.plan(&device, DType::Complex32).unwrap();
            assert_eq!((plan.regions[0].schedule, &plan.regions[0].label[..]), (Schedule::Sequential, "doubled"));
        }
    }
}
