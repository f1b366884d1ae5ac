// Judges the .wgsl files of a folder by Tint, as Dawn's null back-end runs it: one line for each that is refused. Those for rich
// devices may go beyond the default limits, which are all that the null back-end has.
//     node tint.mjs FOLDER default|rich
import fs from 'node:fs';
import path from 'node:path';
import { create, globals } from 'webgpu';

const [folder, kind] = process.argv.slice(2);
const files = fs.readdirSync(folder).filter((name) => name.endsWith('.wgsl')).sort();
Object.assign(globalThis, globals);
// Dawn lives as long as this does.
const gpu = create(['backend=null']);
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice();
const refused = [];
for (const file of files) {
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ code: fs.readFileSync(path.join(folder, file), 'utf8') });
    const told = (await module.getCompilationInfo()).messages.filter((m) => m.type === 'error');
    if (told.length === 0) {
        device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } });
    }
    const error = await device.popErrorScope();
    const beyond = kind === 'rich' && /maximum allowed/.test(error?.message ?? '');
    if (told.length > 0) refused.push(`${file}:${told[0].lineNum}: ${told[0].message}`);
    else if (error && !beyond) refused.push(`${file}: ${error.message.split('\n')[0]}`);
}
for (const line of refused.slice(0, 20)) console.log(line);
console.log(`WGSL (${kind}): ${files.length} kernels, ${refused.length} refused`);
process.exit(refused.length > 0 || files.length === 0 || !gpu ? 1 : 0);
