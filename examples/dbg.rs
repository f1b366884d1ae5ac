use linops::*;
fn main(){
    let x = Tensor::from_array(ndarray::Array2::from_shape_fn((2,3),|(i,j)| (10*i+j) as f32), "Ny Nx").unwrap();
    let m = Tensor::from_array(ndarray::array![[0f32,1.,0.],[1.,0.,1.]], "Ny Nx").unwrap();
    let a = linop::sampling("Ny=2 Nx=3",&m,"K").unwrap();
    println!("{}", a.program().unwrap());
    println!("{}", a.plan(&Device::host(), DType::F32).unwrap());
    println!("{:?}", a.apply(&x).unwrap().to_array().unwrap());
}
