//! An application that has a wgpu device of its own, as a desktop viewer does: its buffers become tensors and back, and
//! nothing is copied on the way.
//!
//! The application fills a buffer with an image, blurs it with a linop, and takes the magnitude of the result in a compute
//! pass of its own, which reads the very buffer that the linop wrote.
//!
//! `cargo run --example own_device`

use linops::linop::{self, FftOptions};
use linops::ndarray::Array2;
use linops::num_complex::Complex32;
use linops::wgpu::{self, util::DeviceExt};
use linops::{DType, Device, Linop, Result, Tensor};

const NY: usize = 96;
const NX: usize = 80;

/// The application's kernel: |z| of interleaved complex values.
const MAGNITUDE: &str = "
@group(0) @binding(0) var<storage, read> image: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> magnitude: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&magnitude)) {
        magnitude[id.x] = length(image[id.x]);
    }
}";

/// Convolution with a Gaussian, as a product in the Fourier domain.
fn blur() -> Result<Linop> {
    let gauss = |k: usize, n: usize| {
        let f = (k as f32 - (n / 2) as f32) / n as f32;
        (-60.0 * f * f).exp()
    };
    let spectrum = Array2::from_shape_fn((NY, NX), |(y, x)| gauss(y, NY) * gauss(x, NX));
    let centred = FftOptions::default().centered(true);
    let f = linop::fft([("Ny", NY), ("Nx", NX)], "Ny Nx", centred)?.out("Ky Kx")?;
    let d = linop::diagonal(f.output()?, &Tensor::from_array(spectrum, "Ky Kx")?)?;
    Ok(f.h() * d * &f)
}

/// A disc with a phase.
fn image() -> Array2<Complex32> {
    Array2::from_shape_fn((NY, NX), |(y, x)| {
        let (v, u) = (y as f32 / NY as f32 - 0.5, x as f32 / NX as f32 - 0.4);
        if u * u + v * v < 0.06 { Complex32::from_polar(1.0, 6.0 * u) } else { Complex32::default() }
    })
}

/// The application's adapter, device and queue. linops needs no feature, and plans within whatever limits they have.
fn open() -> Option<(wgpu::Adapter, wgpu::Device, wgpu::Queue)> {
    let mut desc = wgpu::InstanceDescriptor::new_without_display_handle();
    desc.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    let instance = wgpu::Instance::new(desc);
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())).ok()?;
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).ok()?;
    Some((adapter, device, queue))
}

/// Records and submits the application's own pass from one buffer to another.
fn take_magnitude(device: &wgpu::Device, queue: &wgpu::Queue, image: &wgpu::Buffer, magnitude: &wgpu::Buffer) {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("magnitude"),
        source: wgpu::ShaderSource::Wgsl(MAGNITUDE.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("magnitude"),
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("magnitude"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: image.as_entire_binding() },
            wgpu::BindGroupEntry { binding: 1, resource: magnitude.as_entire_binding() },
        ],
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups((NY * NX).div_ceil(64) as u32, 1, 1);
    }
    queue.submit([encoder.finish()]);
}

fn main() -> Result<()> {
    let Some((adapter, device, queue)) = open() else {
        println!("no GPU adapter here: nothing to show (a software one is in Mesa: mesa-vulkan-drivers)");
        return Ok(());
    };
    println!("the application's adapter is {}", adapter.get_info().name);

    // Buffers that the application made for itself.
    let values = image();
    let source = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
        label: Some("the application's image"),
        contents: bytemuck::cast_slice(values.as_slice().unwrap_or_default()),
        usage: wgpu::BufferUsages::STORAGE,
    });
    let magnitude = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("the application's magnitude"),
        size: (NY * NX * size_of::<f32>()) as u64,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    });

    // Handles are cheap clones of the application's own.
    let linops_device = Device::from_wgpu(&adapter, device.clone(), queue.clone());
    let shape = [("Ny", NY), ("Nx", NX)];
    let x = Tensor::from_wgpu(&linops_device, source, shape, DType::Complex32)?;
    let blur = blur()?;
    let y = blur.apply(&x)?;

    // Both run on one queue, so the pass sees the finished result; nobody waits on the host.
    let result = y.wgpu_buffer()?;
    take_magnitude(&device, &queue, result, &magnitude);

    // Only to check: the same on the host.
    let got = Tensor::from_wgpu(&linops_device, magnitude, shape, DType::F32)?.to(&Device::host())?.to_real_array()?;
    let want = blur.apply(&Tensor::from_array(values, "Ny Nx")?)?.to_array()?;
    let worst = got.iter().zip(&want).map(|(g, w)| (g - w.norm()).abs()).fold(0.0, f32::max);
    println!("largest difference from the host: {worst:.1e}");
    assert!(worst < 1e-5, "the device and the host differ");
    Ok(())
}
