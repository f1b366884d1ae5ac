//! Tests on the kinds of scans that people have: a small file each, and what is right by the sum over its image.

use super::tests::{Line, along, curved, line, scan, stacked, turned};
use super::*;
use super::{header, records::flag};
use hdf5_pure::{CompoundTypeBuilder, FileBuilder};
use ndarray::{Array2, Array3, Axis, Ix3, s};
use num_complex::Complex64;
use std::f64::consts::TAU;

const N: usize = 16;
const COILS: usize = 3;

/// An image (coil, y, x) that is different everywhere, twice as wide as high.
fn image(ny: usize, nx: usize) -> Array3<Complex64> {
    Array3::from_shape_fn((COILS, ny, nx), |(c, y, x)| {
        Complex64::new((1 + y * 3 + x) as f64 % 7.0 + 1.0, ((c + 1) * (x + 2 * y)) as f64 % 5.0)
    })
}

/// Its centred orthonormal k-space by the sum, in f64.
fn kspace(image: &Array3<Complex64>) -> Array3<Complex64> {
    let (coils, ny, nx) = image.dim();
    let wave = |k: usize, i: usize, n: usize| {
        let c = (n / 2) as f64;
        Complex64::cis(-TAU * (k as f64 - c) * (i as f64 - c) / n as f64) / (n as f64).sqrt()
    };
    let along_x = Array3::from_shape_fn((coils, ny, nx), |(c, y, kx)| {
        (0..nx).map(|x| image[[c, y, x]] * wave(kx, x, nx)).sum::<Complex64>()
    });
    Array3::from_shape_fn((coils, ny, nx), |(c, ky, kx)| {
        (0..ny).map(|y| along_x[[c, y, kx]] * wave(ky, y, ny)).sum::<Complex64>()
    })
}

fn narrow(v: Complex64) -> Complex32 {
    Complex32::new(v.re as f32, v.im as f32)
}

/// The line ky of k-space.
fn of(kspace: &Array3<Complex64>, ky: usize) -> Line {
    let line = kspace.index_axis(Axis(1), ky);
    let data = line.rows().into_iter().map(|row| row.iter().copied().map(narrow).collect());
    Line { line: ky as u16, centre: (kspace.dim().2 / 2) as u16, data: data.collect(), ..Line::default() }
}

fn lines(kspace: &Array3<Complex64>) -> Vec<Line> {
    (0..kspace.dim().1).map(|ky| of(kspace, ky)).collect()
}

fn flagged(mut line: Line, flags: &[u32]) -> Line {
    line.flags |= flags.iter().map(|f| 1u64 << (f - 1)).sum::<u64>();
    line
}

/// A header with fields of view of its own.
fn header_of(encoded: [usize; 2], recon: [usize; 2], encoded_fov: [f64; 2], recon_fov: [f64; 2]) -> String {
    let space = |name: &str, n: [usize; 2], fov: [f64; 2]| {
        format!(
            "<{name}><matrixSize><x>{}</x><y>{}</y><z>1</z></matrixSize><fieldOfView_mm><x>{}</x><y>{}</y><z>5</z>\
             </fieldOfView_mm></{name}>",
            n[0], n[1], fov[0], fov[1]
        )
    };
    format!(
        "<ismrmrdHeader><encoding>{}{}<trajectory>cartesian</trajectory></encoding></ismrmrdHeader>",
        space("encodedSpace", encoded, encoded_fov),
        space("reconSpace", recon, recon_fov)
    )
}

fn parallel(xml: &str, mode: &str) -> String {
    let more = format!("</trajectory><parallelImaging><calibrationMode>{mode}</calibrationMode></parallelImaging>");
    xml.replace("</trajectory>", &more)
}

/// The largest distance of k-space (coil, ky, kx) from another, relative to the largest value.
fn apart(found: &ArrayD<Complex32>, expected: &Array3<Complex64>) -> f64 {
    let found = found.clone().into_dimensionality::<Ix3>().unwrap();
    assert_eq!(found.dim(), expected.dim());
    let wide = |v: &Complex32| Complex64::new(v.re.into(), v.im.into());
    let largest = expected.iter().fold(0.0f64, |a, v| a.max(v.norm()));
    found.iter().zip(expected).fold(0.0f64, |a, (f, e)| a.max((wide(f) - e).norm())) / largest
}

#[test]
fn base_resolution_headers_are_cropped_in_image_space() {
    let whole = image(N, 2 * N);
    let cut = kspace(&whole.slice(s![.., .., N / 2..N / 2 + N]).to_owned());
    let xml = header_of([N, N], [N, N], [192.0; 2], [192.0; 2]);
    let found = scan(&xml, &lines(&kspace(&whole))).unwrap();
    assert!(apart(&found.kspace, &cut) < 1e-5);
    assert_eq!(found.info.fov_mm, [5.0, 192.0, 192.0]);
    // Where the header's field of view has the oversampling already.
    let xml = header_of([N, N], [N, N], [384.0, 192.0], [192.0; 2]);
    let found = scan(&xml, &lines(&kspace(&whole))).unwrap();
    assert!(apart(&found.kspace, &cut) < 1e-5);
    assert_eq!(found.info.fov_mm, [5.0, 192.0, 192.0]);
    // Maps come from what was not cut.
    assert_eq!(found.calibration.unwrap().shape(), [COILS, N, 2 * N]);
}

#[test]
fn oversampling_is_a_ratio_of_fields_of_view() {
    let whole = kspace(&image(N, 2 * N));
    // A coarser picture of the same field of view.
    let found = scan(&header_of([2 * N, N], [N, N], [256.0; 2], [256.0; 2]), &lines(&whole)).unwrap();
    assert!(apart(&found.kspace, &whole) < 1e-6);
    assert!(found.info.summary.contains("as encoded") && found.calibration.is_none(), "{}", found.info.summary);
    // Oversampled, interpolated, and with partial Fourier.
    let xml = header_of([2 * N, N], [2 * N, 2 * N], [460.0, 230.0], [230.0, 230.0]);
    let partial: Vec<Line> = lines(&whole).into_iter().take(N - 4).collect();
    let limits = "</reconSpace><encodingLimits><kspace_encoding_step_1><center>8</center></kspace_encoding_step_1></encodingLimits>";
    let found = scan(&xml.replace("</reconSpace>", limits), &partial).unwrap();
    assert_eq!((found.kspace.shape(), found.info.fov_mm), (&[COILS, N, N][..], [5.0, 230.0, 230.0]));
    let rows: Vec<f32> = found.sampled.sum_axis(Axis(1)).into_raw_vec_and_offset().0;
    assert!(rows[..N - 4].iter().all(|n| *n == N as f32) && rows[N - 4..].iter().all(|n| *n == 0.0));
    assert!(found.info.warnings.is_empty(), "{:?}", found.info.warnings);
    assert_eq!(found.info.voxel_mm([1, N, N])[2], 230.0 / N as f64);
}

#[test]
fn oversampling_that_was_removed_before_is_not_removed_again() {
    let small = kspace(&image(N, N));
    let found = scan(&header_of([2 * N, N], [N, N], [400.0, 200.0], [200.0, 200.0]), &lines(&small)).unwrap();
    assert!(apart(&found.kspace, &small) < 1e-6);
    assert!(found.info.summary.contains("removed before"), "{}", found.info.summary);
    assert_eq!(found.info.fov_mm[2], 200.0);
}

#[test]
fn an_asymmetric_echo_keeps_its_centre() {
    // Oversampled twice, and the first quarter of the readout is missing.
    let whole = kspace(&image(N, 2 * N));
    let late: Vec<Line> = lines(&whole)
        .into_iter()
        .map(|mut line| {
            line.data.iter_mut().for_each(|row| drop(row.drain(..N / 2)));
            line.centre -= (N / 2) as u16;
            line
        })
        .collect();
    for encoded in [N, 2 * N] {
        let xml = header_of([encoded, N], [N, N], [if encoded == N { 200.0 } else { 400.0 }, 200.0], [200.0; 2]);
        let found = scan(&xml, &late).unwrap();
        assert_eq!(found.kspace.shape(), [COILS, N, N]);
        let row: Vec<f32> = found.sampled.index_axis(Axis(0), 3).iter().copied().collect();
        assert!(row[..N / 4].iter().all(|v| *v == 0.0) && row[N / 4..].iter().all(|v| *v == 1.0), "{row:?}");
    }
}

#[test]
fn without_limits_the_strongest_line_is_the_centre() {
    let flat = Array3::from_elem((COILS, N, N), Complex64::ONE);
    let whole = kspace(&flat);
    let mut late: Vec<Line> = lines(&whole).into_iter().skip(N / 4).collect();
    late.iter_mut().for_each(|line| line.line -= (N / 4) as u16);
    let found = scan(&header_of([N, N], [N, N], [200.0; 2], [200.0; 2]), &late).unwrap();
    assert!(apart(&found.kspace, &whole) < 1e-6);
    assert!(found.info.warnings[0].contains("line 4 is the strongest"), "{:?}", found.info.warnings);
}

#[test]
fn reference_lines_go_where_they_belong() {
    let whole = kspace(&image(N, N));
    let xml = header::sample([N, N, 1], [N, N, 1], N / 2);
    let reference = |ky: usize| ky.abs_diff(N / 2) < 4;
    let embedded: Vec<Line> = (0..N)
        .filter(|ky| ky % 2 == 0 || reference(*ky))
        .map(|ky| match (reference(ky), ky % 2) {
            (false, _) => of(&whole, ky),
            (true, 0) => flagged(of(&whole, ky), &[flag::CALIBRATION_AND_IMAGING]),
            (true, _) => flagged(of(&whole, ky), &[flag::CALIBRATION]),
        })
        .collect();
    for xml in [parallel(&xml, "embedded"), xml.clone(), parallel(&xml, "interleaved")] {
        let found = scan(&xml, &embedded).unwrap();
        assert_eq!(found.sampled.sum(), (N * embedded.len()) as f32, "{}", found.info.summary);
        assert!(found.calibration.is_none() && found.info.summary.contains("7 reference lines"));
    }
    // Twice as strong: they must stay out of the image.
    let mut separate: Vec<Line> = (0..N).step_by(2).map(|ky| of(&whole, ky)).collect();
    let double = |mut line: Line| {
        line.data.iter_mut().flatten().for_each(|v| *v *= 2.0);
        flagged(line, &[flag::CALIBRATION])
    };
    separate.extend((0..N).filter(|ky| reference(*ky)).map(|ky| double(of(&whole, ky))));
    for xml in [parallel(&xml, "separate"), xml.clone(), parallel(&xml, "external")] {
        let found = scan(&xml, &separate).unwrap();
        assert_eq!(found.sampled.sum(), (N * N / 2) as f32);
        assert!(found.info.summary.contains("for the maps only"), "{}", found.info.summary);
        let lines = found.calibration.unwrap();
        assert_eq!(lines[[1, N / 2 + 1, 5]], narrow(whole[[1, N / 2 + 1, 5]]) * 2.0);
        assert_eq!(lines[[1, 0, 5]], Complex32::default());
        assert_eq!(found.kspace[[1, N / 2, 5]], narrow(whole[[1, N / 2, 5]]));
    }
}

#[test]
fn echo_planar_lines_are_turned_and_their_phase_corrected() {
    let (constant, shift) = (0.7, 0.4);
    let whole = kspace(&image(N, N));
    // A reversed line: a constant phase, and k-space shifted, which is a slope of phase across the image.
    let disturbed = |line: Line| {
        let mut row = Array2::from_shape_fn((COILS, N), |(c, x)| line.data[c][x]);
        crate::fourier::centred_dft(row.view_mut(), Axis(1), true);
        for ((_, x), v) in row.indexed_iter_mut() {
            *v *= narrow(Complex64::cis(constant + TAU * shift * (x as f64 - (N / 2) as f64) / N as f64));
        }
        crate::fourier::centred_dft(row.view_mut(), Axis(1), false);
        let data = row.rows().into_iter().map(|r| r.to_vec()).collect();
        turned(Line { data, ..line })
    };
    let xml = header_of([N, N], [N, N], [300.0; 2], [300.0; 2]).replace("cartesian", "EPI");
    let plain: Vec<Line> = lines(&whole).into_iter().map(|l| if l.line % 2 == 1 { turned(l) } else { l }).collect();
    let found = scan(&xml, &plain).unwrap();
    assert!(apart(&found.kspace, &whole) < 1e-6);
    assert!(found.info.summary.contains("without phase correction"), "{}", found.info.summary);

    let epi: Vec<Line> = lines(&whole).into_iter().map(|l| if l.line % 2 == 1 { disturbed(l) } else { l }).collect();
    assert!(apart(&scan(&xml, &epi).unwrap().kspace, &whole) > 0.1);
    let navigator = |reverse: bool| {
        let line = of(&whole, N / 2);
        flagged(if reverse { disturbed(line) } else { line }, &[flag::PHASE_CORRECTION])
    };
    let with: Vec<Line> = [navigator(false), navigator(true), navigator(false)].into_iter().chain(epi).collect();
    let found = scan(&xml, &with).unwrap();
    assert!(apart(&found.kspace, &whole) < 1e-4, "{}", apart(&found.kspace, &whole));
    assert!(found.info.summary.contains("40° and"), "{}", found.info.summary);
}

/// Numbers in ±1, the same each time.
fn random() -> impl FnMut() -> f64 {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

#[test]
fn noise_is_whitened_as_its_scan_says() {
    let mut next = random();
    // Channel 1 is ten times as noisy, and channel 2 hears it.
    let mut noise = |n: usize| -> Vec<Vec<Complex32>> {
        let mut own = || (0..n).map(|_| Complex64::new(next(), next())).collect::<Vec<_>>();
        let (a, b, c) = (own(), own(), own());
        let wide = |v: Vec<Complex64>| v.into_iter().map(narrow).collect::<Vec<_>>();
        let heard = c.iter().zip(&b).map(|(c, b)| c + b * Complex64::new(0.0, 3.0)).collect();
        vec![wide(a), wide(b.into_iter().map(|v| v * 10.0).collect()), wide(heard)]
    };
    let xml = header::sample([256, 4, 1], [256, 4, 1], 2);
    let scan_noise = Line { data: noise(4000), sample_time: 10.0, ..Line::default() };
    let mut all = vec![flagged(scan_noise, &[flag::NOISE])];
    all.extend((0..4).map(|ky| Line { line: ky, centre: 128, data: noise(256), sample_time: 5.0, ..Line::default() }));
    let found = scan(&xml, &all).unwrap();
    let whitening = found.info.whitening.clone().unwrap();
    assert!((whitening.deviation[1] / whitening.deviation[0] - 10.0).abs() < 0.5 && whitening.correlation > 0.9);
    // The image is noise of half the dwell time, but by the receiver's bandwidth: the variance of a complex sample is
    // 2 · ½ · 0.79 of what it is in the noise scan.
    let white = found.kspace.into_dimensionality::<Ix3>().unwrap();
    let product = |i: usize, j: usize| -> Complex32 {
        white
            .index_axis(Axis(0), i)
            .iter()
            .zip(white.index_axis(Axis(0), j))
            .map(|(a, b)| a * b.conj())
            .sum::<Complex32>()
            / 1024.0
    };
    for i in 0..3 {
        assert!((product(i, i).re - 0.79).abs() < 0.1, "{i}: {}", product(i, i));
        assert!((0..i).all(|j| product(i, j).norm() < 0.1), "{i}");
    }
    // Maps in, and what they were out.
    let mut maps = Array3::from_shape_fn((3, 2, 2), |(c, y, x)| Complex32::new((c + y) as f32, x as f32));
    let before = maps.mapv(|v| v.norm_sqr()).sum_axis(Axis(0)).mapv(f32::sqrt);
    whitening.apply(maps.view_mut()).unwrap();
    let after = whitening.shading(maps.view()).unwrap();
    assert!(after.iter().zip(&before).all(|(a, b)| (a - b).abs() < 1e-4 * b.max(1.0)));
    assert!(whitening.apply(Array3::zeros((2, 2, 2)).view_mut()).is_err());

    let plain = stacked(&xml, &all, &ScanChoice::default().whiten(false)).unwrap();
    let Some(IsmrmrdScan::Cartesian(plain)) = &plain.images[0] else { panic!() };
    assert_eq!((plain.kspace[[1, 2, 7]], &plain.info.whitening), (all[3].data[1][7], &None));
    // Too few samples are no noise scan.
    all[0].data.iter_mut().for_each(|row| row.truncate(5));
    let found = scan(&xml, &all).unwrap();
    assert!(
        found.info.whitening.is_none() && found.info.warnings[0].contains("5 samples"),
        "{:?}",
        found.info.warnings
    );
    // And a channel that is not there does not count.
    all[0].data = noise(100);
    all[0].data[0].fill(Complex32::default());
    let found = scan(&xml, &all).unwrap();
    assert!(found.info.summary.contains("1 channel without noise"), "{}", found.info.summary);
    assert!(found.kspace.index_axis(Axis(0), 0).iter().all(|v| *v == Complex32::default()));
}

#[test]
fn slices_and_repetitions_are_chosen() {
    let value = |slice: u16, repetition: u16| f32::from(1 + slice + 10 * repetition);
    let mut all = Vec::new();
    for (repetition, slice) in [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
        all.extend((0..4).map(|ky| {
            let mut line = line(ky, 4);
            line.counters[0] = slice;
            line.counters[3] = repetition;
            line.data.iter_mut().flatten().for_each(|v| *v = Complex32::from(value(slice, repetition)));
            line
        }));
    }
    let xml = header::sample([4, 4, 1], [4, 4, 1], 2);
    let read = |choice: ScanChoice| {
        stacked(&xml, &all, &choice).map(|stack| {
            let first = |scan: &IsmrmrdScan| match scan {
                IsmrmrdScan::Cartesian(scan) => scan.kspace[[0, 0, 0]].re,
                IsmrmrdScan::NonCartesian(_) => f32::NAN,
            };
            let values: Vec<f32> = stack.images.iter().map(|i| i.as_ref().map_or(-1.0, first)).collect();
            let summary = stack.images.iter().flatten().next().unwrap().info().summary.clone();
            (stack.axes, values, summary)
        })
    };
    let choice = ScanChoice::default;
    let (axes, values, summary) = read(choice()).unwrap();
    assert!(axes.is_empty() && values == [value(0, 1)]);
    assert!(summary.contains("slice 0 of 0 to 2, repetition 1 of 0 to 1"), "{summary}");
    assert_eq!(read(choice().slice(Pick::Only(2))).unwrap().1, [value(2, 0)]);
    // The repetition that has all slices.
    let (axes, values, _) = read(choice().slice(Pick::All)).unwrap();
    assert_eq!((axes, values), (vec![("slice", vec![0, 1, 2])], vec![value(0, 1), value(1, 1), value(2, 1)]));
    assert_eq!(
        read(choice().slice(Pick::Range(1..9)).repetition(Pick::Only(0))).unwrap().1,
        [value(1, 0), value(2, 0)]
    );
    assert_eq!(read(choice().slice(Pick::List(vec![2, 0]))).unwrap().1, [value(2, 1), value(0, 1)]);
    let (axes, values, summary) = read(choice().slice(Pick::All).repetition(Pick::All)).unwrap();
    assert_eq!(axes, [("slice", vec![0, 1, 2]), ("repetition", vec![0, 1])]);
    assert_eq!(values, [-1.0, value(0, 1), value(1, 0), value(1, 1), value(2, 0), value(2, 1)]);
    assert!(summary.contains("1 image of the stack not in the file"), "{summary}");
    let error = |choice: ScanChoice| read(choice).unwrap_err().to_string();
    assert!(error(choice().slice(Pick::Only(7))).contains("no slice 7; the file has slice 0 to 2"));
    assert!(error(choice().slice(Pick::Only(0)).repetition(Pick::Only(0))).contains("repetition"));
}

#[test]
fn averages_are_averaged_unless_they_are_chosen() {
    let mut all = Vec::new();
    for average in 0..3u16 {
        all.extend((0..4).map(|ky| {
            let mut line = line(ky, 4);
            line.counters[5] = average;
            line.data.iter_mut().flatten().for_each(|v| *v = Complex32::from(f32::from(average)));
            line
        }));
    }
    let xml = header::sample([4, 4, 1], [4, 4, 1], 2);
    let read = |choice: ScanChoice| {
        let of = |scan: IsmrmrdScan| match scan {
            IsmrmrdScan::Cartesian(scan) => (scan.kspace[[1, 2, 3]].re, scan.info.summary),
            IsmrmrdScan::NonCartesian(_) => panic!(),
        };
        stacked(&xml, &all, &choice).unwrap().images.into_iter().flatten().map(of).collect::<Vec<_>>()
    };
    let found = read(ScanChoice::default());
    assert!(found[0].0 == 1.0 && found[0].1.contains("the mean of 3 averages"), "{found:?}");
    assert_eq!(read(ScanChoice::default().average(Pick::Only(2)))[0].0, 2.0);
    let all: Vec<f32> = read(ScanChoice::default().average(Pick::All)).iter().map(|f| f.0).collect();
    assert_eq!(all, [0.0, 1.0, 2.0]);
}

#[test]
fn partitions_make_a_third_axis() {
    let xml = header::sample([4, 4, 4], [4, 4, 4], 2);
    let mut all = Vec::new();
    for partition in 0..3 {
        all.extend((0..4).map(|ky| {
            let mut line = line(ky, 4);
            line.partition = partition;
            line.data.iter_mut().flatten().for_each(|v| *v *= f32::from(partition + 1));
            line
        }));
    }
    let limits = "<kspace_encoding_step_2><center>1</center></kspace_encoding_step_2></encodingLimits>";
    let found = scan(&xml.replace("</encodingLimits>", limits), &all).unwrap();
    assert_eq!((found.kspace.shape(), found.sampled.shape()), (&[2, 4, 4, 4][..], &[4, 4, 4][..]));
    // Partition 1 is the centre.
    assert_eq!(found.kspace[[1, 2, 3, 1]], all[7].data[1][1]);
    assert_eq!((found.sampled[[0, 0, 0]], found.sampled[[3, 0, 0]]), (0.0, 1.0));
    assert!(found.info.summary.contains("12 of 4 x 4 lines") && found.info.fov_mm == [8.0; 3]);
}

#[test]
fn oversampling_along_which_lines_are_missing_is_kept() {
    // Eight partitions of which four are to be kept; every plane has samples.
    let xml = header::sample([4, 4, 8], [4, 4, 4], 2);
    let limits = "<kspace_encoding_step_2><center>4</center></kspace_encoding_step_2></encodingLimits>";
    let xml = xml.replace("</encodingLimits>", limits);
    let lines = |acquired: &dyn Fn(usize, usize) -> bool| -> Vec<Line> {
        let all = (0..8).flat_map(|z| (0..4).map(move |y| (z, y))).filter(|(z, y)| acquired(*z, *y));
        all.map(|(z, y)| Line { partition: z as u16, ..line(y, 4) }).collect()
    };
    let whole = scan(&xml, &lines(&|_, _| true)).unwrap();
    assert_eq!(whole.kspace.shape(), [2, 4, 4, 4]);
    let checkered = scan(&xml, &lines(&|z, y| (z + y) % 2 == 0)).unwrap();
    assert_eq!(checkered.kspace.shape(), [2, 8, 4, 4]);
    assert!(checkered.info.summary.contains("partition oversampling, 8 of 4, is cut"), "{}", checkered.info.summary);
    assert_eq!((checkered.info.cut_to, whole.info.cut_to), (Some([4, 4, 4]), None));
    assert_eq!((checkered.info.fov_mm[0], whole.info.fov_mm[0]), (16.0, 8.0));
    // Lines that are missing in every partition fold into nothing.
    let skipped = scan(&xml, &lines(&|_, y| y != 1)).unwrap();
    assert_eq!(skipped.kspace.shape(), [2, 4, 4, 4]);
}

#[test]
fn phase_oversampling_with_missing_lines_is_left_to_the_image() {
    let whole = kspace(&image(N, N));
    let xml = header_of([N, N], [N, 12], [160.0, 160.0], [160.0, 120.0]);
    for acquired in [|ky: usize| ky.is_multiple_of(2), |ky: usize| ky < 12] {
        let some: Vec<Line> = lines(&whole).into_iter().filter(|line| acquired(line.line.into())).collect();
        let found = scan(&xml, &some).unwrap();
        assert_eq!((found.kspace.shape(), found.info.fov_mm[1]), (&[COILS, N, N][..], 160.0));
        assert_eq!(found.info.cut_to, Some([1, 12, N]));
        assert!(found.info.summary.contains("phase oversampling, 16 of 12"), "{}", found.info.summary);
    }
    let found = scan(&xml, &lines(&whole)).unwrap();
    assert_eq!((found.kspace.shape(), found.info.cut_to), (&[COILS, 12, N][..], None));
}

#[test]
fn lines_that_go_round_give_their_maps_together() {
    let whole = kspace(&image(N, N));
    let of_frame = |frame: u16, ky: usize| {
        let mut line = of(&whole, ky);
        line.counters[3] = frame;
        line.data.iter_mut().flatten().for_each(|v| *v *= f32::from(1 + 2 * frame));
        line
    };
    let xml = header::sample([N, N, 1], [N, N, 1], N / 2);
    let all: Vec<Line> = (0..2)
        .flat_map(|f| (0..N).filter(move |ky| ky % 2 == f).map(move |ky| (f, ky)))
        .map(|(f, ky)| of_frame(f as u16, ky))
        .collect();
    for xml in [parallel(&xml, "interleaved"), xml.clone()] {
        let found = scan(&xml, &all).unwrap();
        assert_eq!(found.sampled.sum(), (N * N / 2) as f32);
        let lines = found.calibration.unwrap();
        assert_eq!(lines[[1, 4, 5]], narrow(whole[[1, 4, 5]]));
        assert_eq!(lines[[1, 5, 5]], narrow(whole[[1, 5, 5]]) * 3.0);
        assert!(found.info.summary.contains("those of 2 repetitions together"), "{}", found.info.summary);
    }
    // The same lines each time are no more than those of the image.
    let same: Vec<Line> =
        (0..2).flat_map(|f| (0..N).step_by(2).map(move |ky| (f, ky))).map(|(f, ky)| of_frame(f, ky)).collect();
    assert!(scan(&xml, &same).unwrap().calibration.is_none());
}

#[test]
fn a_smaller_reconstructed_space_of_a_trajectory() {
    let xml = header_of([8, 8], [4, 4], [600.0; 2], [300.0; 2]);
    let k = [along(0, &[&[-0.5, 0.25], &[0.0, 0.0]]), along(1, &[&[0.5, 0.5], &[0.0, 0.0]])];
    let found = curved(&xml, &k).unwrap();
    let trajectory = found.trajectory.unwrap();
    // Four cycles per 600 mm are two per 300 mm.
    assert_eq!((trajectory[[0, 0, 1]], trajectory[[0, 0, 0]], trajectory[[1, 0, 0]]), (-2.0, 1.0, 2.0));
    assert_eq!(found.info.fov_mm, [5.0, 300.0, 300.0]);
    assert!(found.info.summary.contains("300 x 300 mm of the encoded 600 x 600 mm"), "{}", found.info.summary);
    // In rad per pixel.
    let turn = std::f32::consts::PI;
    let rad = [along(0, &[&[-turn, turn], &[0.0, 0.0]]), along(1, &[&[turn, turn], &[0.0, 0.0]])];
    let found = curved(&header_of([48, 48], [48, 48], [300.0; 2], [300.0; 2]), &rad).unwrap();
    assert!((found.trajectory.unwrap()[[0, 0, 1]] + 24.0).abs() < 1e-5 && found.units.contains("rad per pixel"));
    let odd = [along(0, &[&[-1.0, 1.0], &[0.0, 0.0]]), along(1, &[&[1.0, 1.0], &[0.0, 0.0]])];
    let found = curved(&header_of([48, 48], [48, 48], [300.0; 2], [300.0; 2]), &odd).unwrap();
    assert!(found.info.warnings[0].contains("other units"), "{:?}", found.info.warnings);
}

#[test]
fn groups_are_found_or_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mrd");
    let xml = header::sample([6, 4, 1], [6, 4, 1], 2);
    let bytes = super::tests::file(&xml, &[line(0, 6), line(2, 6)], super::tests::PLAIN);
    // The name is as long, so that nothing moves; headers of this version have no checksum over links of old groups.
    std::fs::write(&path, &bytes).unwrap();
    assert!(read_ismrmrd(&path, &ScanChoice::default()).is_ok());
    let several = ["dataset_1", "dataset_2"].map(String::from);
    let mut file = FileBuilder::new();
    for name in &several {
        let mut group = file.create_group(name);
        group.create_dataset("xml").with_vlen_strings(&[&xml]);
        group.create_dataset("data").with_f32_data(&[0.0]);
        let group = group.finish();
        file.add_group(group);
    }
    std::fs::write(&path, file.finish().unwrap()).unwrap();
    let error = |choice: ScanChoice| read_ismrmrd(&path, &choice).unwrap_err().to_string();
    let message = error(ScanChoice::default());
    assert!(message.contains("dataset_1, dataset_2") && message.contains("--group"), "{message}");
    assert!(error(ScanChoice::default().group(Some("dataset_2".into()))).contains("acquisition records"));
    assert!(error(ScanChoice::default().slice(Pick::All)).contains("read_ismrmrd_stack"));
}

/// A fastMRI file of (slice, coil, row, column).
fn fastmri(path: &Path, kspace: &ArrayD<Complex32>, xml: &str, mask: Option<&[f32]>) {
    let complex = CompoundTypeBuilder::new().f32_field("r").f32_field("i").build().unwrap();
    let bytes: Vec<u8> = kspace.iter().flat_map(|v| [v.re.to_le_bytes(), v.im.to_le_bytes()].concat()).collect();
    let shape: Vec<u64> = kspace.shape().iter().map(|n| *n as u64).collect();
    let mut file = FileBuilder::new();
    file.create_dataset("kspace").with_raw_data(complex, bytes, kspace.len() as u64).with_shape(&shape);
    file.create_dataset("ismrmrd_header").with_vlen_strings(&[xml]);
    if let Some(mask) = mask {
        file.create_dataset("mask").with_f32_data(mask);
    }
    std::fs::write(path, file.finish().unwrap()).unwrap();
}

#[test]
fn fastmri_files_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.h5");
    // Rows are the readout: twice as many, over twice the field of view.
    let tall = image(2 * N, N);
    let whole = kspace(&tall);
    let cut = kspace(&tall.slice(s![.., N / 2..N / 2 + N, ..]).to_owned());
    let slices = [1.0f32, 2.0].map(|scale| whole.mapv(|v| narrow(v) * scale));
    let views: Vec<_> = slices.iter().map(|s| s.view()).collect();
    let stack = ndarray::stack(Axis(0), &views).unwrap().into_dyn();
    fastmri(&path, &stack, &header_of([2 * N, N], [N, N], [440.0, 220.0], [220.0; 2]), None);
    let read = |choice: ScanChoice| read_ismrmrd_stack(&path, &choice);
    let first = |stack: ScanStack| match stack.images.into_iter().flatten().next().unwrap() {
        IsmrmrdScan::Cartesian(scan) => scan,
        IsmrmrdScan::NonCartesian(_) => panic!(),
    };
    let found = first(read(ScanChoice::default().slice(Pick::Only(1))).unwrap());
    assert!(apart(&found.kspace, &cut.mapv(|v| v * 2.0)) < 1e-5);
    assert_eq!(found.info.fov_mm, [5.0, 220.0, 220.0]);
    assert_eq!(read(ScanChoice::default().slice(Pick::All)).unwrap().images.len(), 2);
    let error = |choice: ScanChoice| read(choice).unwrap_err().to_string();
    assert!(error(ScanChoice::default().slice(Pick::Only(5))).contains("slices 0 to 1"));
    assert!(error(ScanChoice::default().repetition(Pick::All)).contains("no repetition"));

    // A header that says nothing, and a mask of columns.
    let mask: Vec<f32> = (0..N).map(|x| f32::from(x % 2 == 0)).collect();
    fastmri(&path, &stack, "<ismrmrdHeader/>", Some(&mask));
    let found = first(read(ScanChoice::default()).unwrap());
    assert_eq!((found.kspace.shape(), found.sampled.sum()), (&[COILS, 2 * N, N][..], (N * N) as f32));
    fastmri(&path, &stack, "<ismrmrdHeader/>", Some(&mask[1..]));
    assert!(read(ScanChoice::default()).unwrap_err().to_string().contains("15 values"));
    let contents = scan_contents(&path, &ScanChoice::default()).unwrap();
    assert_eq!(contents.encodings[0].channels, [COILS; 2]);
}

#[test]
fn contents_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.h5");
    let mut all: Vec<Line> = lines(&kspace(&Array3::from_elem((COILS, N, N), Complex64::ONE)));
    all[3] = flagged(all[3].clone(), &[flag::REVERSE]);
    // What is discarded is no peak.
    all[5].data[0][0] = Complex32::from(1e6);
    all[5].discard = [1, 0];
    let again: Vec<Line> = all.iter().map(|line| Line { counters: [4, 0, 0, 0, 0, 0], ..line.clone() }).collect();
    all.extend(again);
    let mut next = random();
    let noise = (0..COILS).map(|_| (0..50).map(|_| Complex32::new(next() as f32, next() as f32)).collect()).collect();
    all.push(flagged(Line { data: noise, ..Line::default() }, &[flag::NOISE]));
    std::fs::write(&path, super::tests::file(&header::sample([N, N, 1], [N, N, 1], 8), &all, super::tests::PLAIN))
        .unwrap();
    let found = scan_contents(&path, &ScanChoice::default()).unwrap();
    assert_eq!((found.group.as_str(), found.records), ("dataset", 2 * N + 1));
    assert!(found.flags.contains(&(19, "noise measurement", 1)) && found.flags.contains(&(22, "reverse", 2)));
    assert_eq!(found.roles, [("image", 2 * N), ("noise", 1)]);
    let noise = found.noise.unwrap();
    assert!(noise.samples == 50 && noise.deviation.iter().all(|d| (d - 0.816).abs() < 0.2), "{noise:?}");
    let encoding = &found.encodings[0];
    assert_eq!((encoding.lines, encoding.channels, encoding.samples), (2 * N, [COILS; 2], [N; 2]));
    let slices = encoding.counters.iter().find(|c| c.name == "slice").unwrap();
    assert_eq!(slices.values, [(0, N), (4, N)]);
    assert_eq!((encoding.strongest, encoding.from_centre), ([0, 8, 8], Some([0, 0, 0])));
}
