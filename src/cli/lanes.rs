//! What is said of a device's lanes.

use linops::Device;
use serde_json::Value;

/// The rung that carries the lanes of a device, and why; null on the host.
pub fn rung(device: &Device) -> Value {
    #[cfg(feature = "gpu")]
    if let Some(gpu) = device.as_gpu() {
        return serde_json::json!(gpu.lanes());
    }
    let _ = device;
    Value::Null
}
