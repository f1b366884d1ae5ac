//! Arrays of other axes than (coil, ky, kx), and what is made of many coils.

use crate::harness::{Folder, distance};
use linops::app::coils::coil_images;
use linops::app::{ScanOptions, VolumeScanOptions, scan, volume_scan};
use linops::io::{Array, Output, read_cfl, write_cfl};
use ndarray::{Array1, ArrayD, Axis, s};
use num_complex::Complex32;

const REST: &str = "--lambda 0.001 --device host --force";

fn cfl(folder: &Folder, name: &str, array: ArrayD<Complex32>) {
    write_cfl(Output::create(folder.path(name), &["cfl"], true).unwrap(), &Array::C32(array)).unwrap();
}

#[test]
fn the_coil_axis_is_doubted_where_it_is_last() {
    let folder = Folder::new();
    let scan = folder.scan();
    folder.good(&format!("recon kspace.npy --maps maps.npy {REST} -o x.npy"));
    let last = scan.kspace.clone().permuted_axes([1, 2, 0]).as_standard_layout().into_owned();
    folder.complex("last.npy", &last);
    folder.complex("maps_last.npy", &scan.maps.clone().permuted_axes([1, 2, 0]).as_standard_layout().into_owned());
    for part in ["(coil, ky, kx)", "--coil-axis 2", "numpy.moveaxis(k, 2, 0)", "48 coils of 40 x 4"] {
        folder.refused(&format!("recon last.npy {REST} -o y.npy"), part);
    }
    for axis in ["2", "-1"] {
        for maps in ["maps.npy", "maps_last.npy"] {
            folder.good(&format!("recon last.npy --maps {maps} --coil-axis {axis} {REST} -o y.npy"));
            assert_eq!(folder.read("y.npy"), folder.read("x.npy"), "{axis} {maps}");
        }
    }
    // Maps say themselves which axis it is, where only one fits.
    let text = folder.good(&format!("recon kspace.npy --maps maps_last.npy {REST} -o y.npy"));
    assert!(text.contains("axis 2 of the maps"), "{text}");
    assert_eq!(folder.read("y.npy"), folder.read("x.npy"));
    folder.refused(&format!("recon last.npy --coil-axis 3 {REST} -o z.npy"), "--coil-axis 3 of an array with 3 axes");
    // The middle one.
    let middle = scan.kspace.permuted_axes([1, 0, 2]).as_standard_layout().into_owned();
    folder.complex("middle.npy", &middle);
    folder.refused(&format!("recon middle.npy {REST} -o z.npy"), "--coil-axis 1");
    folder.good(&format!("recon middle.npy --maps maps.npy --coil-axis 1 {REST} -o y.npy"));
    assert_eq!(folder.read("y.npy"), folder.read("x.npy"));
}

#[test]
fn one_coil_needs_no_axis() {
    let folder = Folder::new();
    let scan = scan(&ScanOptions::default().ny(32).nx(24).coils(1).acceleration(1).noise(0.0)).unwrap();
    let one = scan.kspace.index_axis(Axis(0), 0).to_owned();
    folder.complex("k.npy", &one);
    folder.complex("k4.npy", &scan.kspace.clone().insert_axis(Axis(0)));
    let text = folder.good(&format!("recon k.npy {REST} -o x.npy"));
    assert!(text.contains("1 coil, 32 x 24") && text.contains("1 everywhere"), "{text}");
    folder.good(&format!("recon k4.npy {REST} -o y.npy"));
    assert_eq!(folder.read("x.npy"), folder.read("y.npy"));
    // λ takes a thousandth of the inverse transform.
    let image = coil_images(scan.kspace.view()).unwrap().index_axis(Axis(0), 0).mapv(|v| v / 1.001);
    assert!(distance(&folder.read("x.npy"), &image.into_dyn()) < 1e-5);
    folder.complex("maps.npy", &scan.maps.index_axis(Axis(0), 0).to_owned());
    folder.good(&format!("recon k.npy --maps maps.npy {REST} -o y.npy"));
}

#[test]
fn masks_of_lines_are_the_same_for_all_samples() {
    let folder = Folder::new();
    let scan = folder.scan();
    folder.good(&format!("recon kspace.npy --maps maps.npy --mask mask.npy {REST} -o x.npy"));
    let lines: Array1<f32> = scan.mask.column(0).to_owned();
    folder.real("lines.npy", &lines);
    folder.real("column.npy", &lines.clone().insert_axis(Axis(1)));
    for mask in ["lines", "column"] {
        let text = folder.good(&format!("recon kspace.npy --maps maps.npy --mask {mask}.npy {REST} -o y.npy"));
        assert!(text.contains("along ky"), "{text}");
        assert_eq!(folder.read("y.npy"), folder.read("x.npy"));
    }
    // As many along both axes: an extent of 1 says which.
    let square = linops::app::scan(&linops::app::ScanOptions::default().ny(40).nx(40).coils(3)).unwrap();
    folder.complex("square.npy", &square.kspace);
    folder.complex("square_maps.npy", &square.maps);
    let ones = Array1::from_shape_fn(40, |k| f32::from(k % 3 != 0));
    folder.real("across.npy", &ones.clone().insert_axis(Axis(0)));
    folder.real("down.npy", &ones.insert_axis(Axis(1)));
    for (mask, axis) in [("across", "kx"), ("down", "ky")] {
        let args = format!("recon square.npy --maps square_maps.npy --mask {mask}.npy --iterations 2 {REST} -o y.npy");
        let text = folder.run(&args).stdout;
        assert!(text.contains(&format!("the mask is along {axis}")), "{mask}: {text}");
    }
    // Along kx, with data that go that way.
    let turned = |a: &ndarray::Array3<Complex32>| a.clone().permuted_axes([0, 2, 1]).as_standard_layout().into_owned();
    folder.complex("turned.npy", &turned(&scan.kspace));
    folder.complex("turned_maps.npy", &turned(&scan.maps));
    folder.good(&format!("recon turned.npy --maps turned_maps.npy --mask lines.npy {REST} -o y.npy"));
    let back = folder.read("y.npy").reversed_axes().as_standard_layout().into_owned();
    assert!(distance(&back, &folder.read("x.npy")) < 1e-5);
    folder.real("short.npy", &lines.slice(s![..7]).to_owned());
    folder.refused(&format!("recon kspace.npy --mask short.npy {REST} -o z.npy"), "48 along ky");
}

#[test]
fn bart_dims_of_other_planes_are_planes() {
    let folder = Folder::new();
    let scan = folder.scan();
    folder.good(&format!("recon kspace.npy --maps maps.npy {REST} -o x.npy"));
    // Dims (1, y, z, coil): the bytes are those of (coil, z, y, 1).
    cfl(&folder, "yz.cfl", scan.kspace.clone().insert_axis(Axis(3)).into_dyn());
    cfl(&folder, "maps_yz.cfl", scan.maps.clone().insert_axis(Axis(3)).into_dyn());
    let text = folder.good(&format!("recon yz --maps maps_yz.cfl {REST} -o y.npy"));
    assert!(text.contains("BART dims (1, 40, 48, 4): the image is (z, y)"), "{text}");
    assert_eq!(folder.read("y.npy"), folder.read("x.npy"));
    // Dims (x, 1, z, coil).
    cfl(&folder, "xz.cfl", scan.kspace.clone().insert_axis(Axis(2)).into_dyn());
    folder.good(&format!("recon xz --maps maps.npy {REST} -o y.npy"));
    assert_eq!(folder.read("y.npy"), folder.read("x.npy"));
    // Dims (coil, 1, x, y): said, and read when told.
    let first = scan.kspace.clone().permuted_axes([1, 2, 0]).insert_axis(Axis(2));
    cfl(&folder, "first.cfl", first.as_standard_layout().into_owned().into_dyn());
    folder.refused(&format!("recon first {REST} -o z.npy"), "these are (4, 1, 40, 48); give --coil-axis D");
    folder.good(&format!("recon first --coil-axis 0 --maps maps.npy {REST} -o y.npy"));
    assert_eq!(folder.read("y.npy"), folder.read("x.npy"));
    // Echoes are images; what has no meaning here is refused.
    let deep = scan.kspace.clone().insert_axis(Axis(1));
    cfl(&folder, "echoes.cfl", deep.broadcast((2, 1, 4, 1, 48, 40)).unwrap().to_owned().into_dyn());
    let text = folder.good(&format!("recon echoes --maps maps.npy {REST} -o e.npy"));
    assert!(text.contains("(contrast, y, x) = 2 x 48 x 40"), "{text}");
    assert_eq!(folder.read("e.npy").index_axis(Axis(0), 1), folder.read("x.npy"));
    folder.good(&format!("recon echoes --maps maps.npy --contrast 1 {REST} -o one.npy"));
    assert_eq!(folder.read("one.npy"), folder.read("x.npy"));
    cfl(&folder, "coefficients.cfl", deep.broadcast(vec![2, 1, 1, 4, 1, 48, 40]).unwrap().to_owned());
    folder.refused(&format!("recon coefficients {REST} -o z.npy"), "BART dim 6 (coefficients) of the k-space is 2");
    // Slices go back to their dim.
    let shape = vec![2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 1, 48, 40];
    cfl(&folder, "slices.cfl", deep.broadcast(shape.as_slice()).unwrap().to_owned());
    folder.good(&format!("recon slices --maps maps.npy {REST} -o back.cfl"));
    let back = read_cfl(folder.path("back.cfl")).unwrap();
    assert_eq!((back.dims[0], back.dims[1], back.dims[13]), (40, 48, 2));
}

#[test]
fn slices_of_one_coil_are_not_taken_for_coils_without_a_word() {
    let folder = Folder::new();
    let kspace = folder.scan().kspace;
    folder.complex("slices.npy", &kspace.insert_axis(Axis(1)));
    folder.warned(&format!("recon slices.npy {REST} -o x.npy"), "--axes slice,coil,ky,kx");
    folder.good(&format!("recon slices.npy --axes slice,coil,ky,kx {REST} -o x.npy"));
    assert_eq!(folder.read("x.npy").shape(), [4, 48, 40]);
}

#[test]
fn axes_are_told_by_name_or_by_their_energies() {
    let folder = Folder::new();
    let scan = folder.scan();
    folder.good(&format!("recon kspace.npy --maps maps.npy {REST} -o x.npy"));
    let x = folder.read("x.npy");
    let slices = ndarray::stack![Axis(0), scan.kspace, scan.kspace.mapv(|v| v * 2.0), scan.kspace];
    folder.complex("slices.npy", &slices);
    // Told, chosen, or seen with a word.
    let args = format!("recon slices.npy --maps maps.npy {REST} -o y.npy");
    folder.warned(&args, "is read as (slice, coil, ky, kx), 3 slices of 4 coils");
    let all = folder.read("y.npy");
    assert_eq!((all.shape(), all.index_axis(Axis(0), 2)), (&[3, 48, 40][..], x.view()));
    for more in ["--axes slice,coil,ky,kx", "--slice all", "--axes slice,coil,ky,kx --slice 0:3"] {
        folder.good(&format!("{args} {more}"));
        assert_eq!(folder.read("y.npy"), all, "{more}");
    }
    folder.good(&format!("{args} --slice 1"));
    assert_eq!(folder.read("y.npy"), all.index_axis(Axis(0), 1).to_owned());
    folder.refused(&format!("{args} --slice 3"), "there are slices 0 to 2");
    folder.refused(&format!("{args} --axes slice,coil,ky"), "--axes names 3");
    folder.refused(&format!("{args} --axes slice,coil,kz,ky"), "need ky and kx");
    folder.misused(&format!("{args} --axes slice,coil,q,kx"), "no axis 'q'");
    folder.misused(&format!("{args} --axes coil,kz,ky,kx --coil-axis 0"), "--coil-axis");
    // Any order, and any counters.
    let turned = slices.permuted_axes([2, 3, 0, 1]).as_standard_layout().into_owned();
    folder.complex("turned.npy", &turned);
    folder.good(&format!("recon turned.npy --axes ky,kx,time,coil --maps maps.npy {REST} -o y.npy"));
    assert_eq!(folder.read("y.npy"), all);
    // Maps of each image.
    let doubled = ndarray::stack![Axis(0), scan.maps, scan.maps.mapv(|v| v * 2.0), scan.maps];
    folder.complex("own.npy", &doubled);
    folder.good(
        &format!("{args} --slice all --maps own.npy --lambda 0")
            .replace("--maps maps.npy ", "")
            .replace("--lambda 0.001", ""),
    );
    let own = folder.read("y.npy");
    let apart = distance(&own.index_axis(Axis(0), 1).to_owned(), &own.index_axis(Axis(0), 0).to_owned());
    assert!(apart < 1e-3, "{apart}");
    // A volume is one, without a word.
    let options = VolumeScanOptions::default().matrix([8, 24, 20]).coils(4).acceleration([1, 1]).centre_lines(8);
    folder.complex("volume.npy", &volume_scan(&options).unwrap().kspace);
    folder.good(&format!("recon volume.npy --iterations 2 {REST} -o v.npy"));
    assert_eq!(folder.read("v.npy").shape(), [8, 24, 20]);
}

#[test]
fn the_root_of_the_sum_of_squares_needs_no_maps() {
    let folder = Folder::new();
    let scan = scan(&ScanOptions::default().ny(32).nx(24).coils(4).acceleration(1).noise(0.0)).unwrap();
    folder.complex("k.npy", &scan.kspace);
    let result = folder.json("recon k.npy --rss -o x.npy --device host");
    assert!(result["maps"].as_str().unwrap().contains("root of the sum of squares"), "{result}");
    // Of images that the maps weight.
    let power = scan.maps.mapv(|v| v.norm_sqr()).sum_axis(Axis(0));
    let want = ndarray::Zip::from(&scan.reference).and(&power).map_collect(|v, p| Complex32::from(v.norm() * p.sqrt()));
    let found = folder.read("x.npy");
    assert!(found.iter().all(|v| v.im == 0.0 && v.re >= 0.0));
    assert!(distance(&found, &want.into_dyn()) < 0.1);
    // The energy is that of the k-space.
    let energy = |a: &mut dyn Iterator<Item = f32>| a.map(f64::from).sum::<f64>();
    let (image, kspace) =
        (energy(&mut found.iter().map(|v| v.norm_sqr())), energy(&mut scan.kspace.iter().map(|v| v.norm_sqr())));
    assert!((image / kspace - 1.0).abs() < 1e-4, "{image} {kspace}");
    folder.misused("recon k.npy --rss --maps maps.npy -o y.npy", "--maps");
    folder.misused("recon k.npy --rss --time -o y.npy", "leave --time out");
}

#[test]
fn few_virtual_coils_do_for_many() {
    let folder = Folder::new();
    let scan = scan(&ScanOptions::default().ny(40).nx(32).coils(8).acceleration(2).noise(0.0)).unwrap();
    folder.complex("k.npy", &scan.kspace);
    folder.complex("maps.npy", &scan.maps);
    folder.good(&format!("recon k.npy --maps maps.npy {REST} -o x.npy"));
    let image = folder.read("x.npy");
    for (way, close) in [("svd", 0.03), ("gcc", 0.02)] {
        let text =
            folder.good(&format!("recon k.npy --maps maps.npy --compress 5 --compress-by {way} {REST} -o y.npy"));
        assert!(text.contains("8 coils compressed to 5") && text.contains("% of the energy kept"), "{text}");
        let apart = distance(&folder.read("y.npy"), &image);
        assert!(apart < close, "{way}: {apart}");
        let result = folder.json(&format!("recon k.npy --compress 4 --compress-by {way} {REST} -o y.npy"));
        assert_eq!(result["coils"], 4);
    }
    let text = folder.good(&format!("recon k.npy --maps maps.npy --compress 9 {REST} -o y.npy"));
    assert!(text.contains("there are 8 coils"), "{text}");
    assert_eq!(folder.read("y.npy"), image);
    folder.misused("recon k.npy --compress 0 -o z.npy", "from 1 on");
    folder.misused("recon k.npy --compress-by gcc -o z.npy", "--compress");
}
